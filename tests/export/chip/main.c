/* A chip that gets a trained model, and learns a class from images that come one by one. Prints by semihosting. */
#include "model.h"
#include "images.h"

extern uint32_t data_begin, data_end, data_kept, bss_begin, bss_end, stack_top;

static void host(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(const char *text) { host(4, text); }

static void say_number(const char *name, int number) {
  char digits[12], *end = digits + 11;
  *end = 0;
  do { *--end = (char)('0' + number % 10); number /= 10; } while (number);
  say(name); say(" "); say(end); say("\n");
}

/* The core's own timer counts down 24 bits; qemu with -icount lets it run by instructions. */
static volatile uint32_t *const timer = (volatile uint32_t *)0xe000e010;
enum { CONTROL, RELOAD, VALUE, KNOWN = 100000 };

static uint32_t passed(uint32_t since) { return (since - timer[VALUE]) & 0xffffff; }

static uint32_t ticks_of_known(void) {
  uint32_t count = KNOWN, since = timer[VALUE];
  __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(count) : : "cc"); /* two instructions each */
  return passed(since);
}

static int right(int from, int below) {
  int found = 0;
  for (int k = 0; k < TESTS; k++) {
    float scores[ONWARD_CLASSES];
    if (test_labels[k] < from || test_labels[k] >= below) continue;
    onward_scores_uint8(test_images + k * ONWARD_IMAGE, scores);
    found += onward_best(scores) == test_labels[k];
  }
  return found;
}

static void work(void) {
  uint64_t ticks = 0;
  timer[RELOAD] = 0xffffff;
  timer[VALUE] = 0;
  timer[CONTROL] = 5; /* count, by the processor's clock */
  uint32_t known = ticks_of_known();
  say_number("new_before", right(NEW, NEW + 1));
  say_number("old_before", right(0, NEW));
  for (int k = 0; k < STREAM; k++) {
    int32_t label = stream_labels[k];
    uint32_t since = timer[VALUE];
    onward_learn_uint8(stream_images + k * ONWARD_IMAGE, &label, RATE);
    ticks += passed(since);
  }
  say_number("instructions", (int)(ticks * (2 * KNOWN) / known / STREAM));
  say_number("new_after", right(NEW, NEW + 1));
  say_number("old_after", right(0, NEW));
}

void reset(void) {
  uint32_t *from = &data_kept;
  for (uint32_t *to = &data_begin; to < &data_end; to++) *to = *from++;
  for (uint32_t *to = &bss_begin; to < &bss_end; to++) *to = 0;
  work();
  host(0x18, (const void *)0x20026); /* the program ends as it should */
  for (;;) { }
}

static void fault(void) {
  say("fault\n");
  host(0x18, (const void *)0x20024);
  for (;;) { }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
  &stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault,
};
