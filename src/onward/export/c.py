"""C: one file and its header, static memory, no library but memcpy and the functions of math.h."""

import numpy as np

from onward.export.loops import Dialect
from onward.export.plain import Plain, Routine, losses_of, plain
from onward.export.program import Model
from onward.export.step import Learning


def _literal(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "NAN" if value != value else "INFINITY" if value > 0 else "(-INFINITY)"
    text = np.format_float_positional(np.float32(value), trim="0") if 1e-4 <= abs(value) < 1e7 or value == 0 else ""
    text = text or np.format_float_scientific(np.float32(value), trim="0")
    return f"({text}f)" if text.startswith("-") else f"{text}f"


C = Dialect(counter="int", local="float", literal=_literal)

_HEADER = """/* {name}: scores of {noun}{learns}, written by onward. See README.md beside it. */
#ifndef ONWARD_MODEL_H
#define ONWARD_MODEL_H
#include <stdint.h>

#define ONWARD_CLASSES {classes}
#define ONWARD_IMAGE {image} /* numbers of an input: {layout} */

extern const char *const onward_class_names[ONWARD_CLASSES];

/* {scores} of one input. {numbers} */
void onward_scores(const float *image, float *scores);
{bytes}int onward_best(const float *scores);
{learning}
#endif
"""
_BYTES_HEADER = """void onward_scores_uint8(const uint8_t *image, float *scores);
void onward_scores_int8(const int8_t *image, float *scores);
"""
_NUMBERS = {
    True: "Pixels in [0, 1]; uint8: 0 to 255; int8 q: pixel (q + 128) / 255.",
    False: "Numbers in the unit of the training, in the order of README.md.",
}
_LEARNING_HEADER = """
#define ONWARD_BATCH {batch} /* images of a training step */
#define ONWARD_WEIGHTS {weights}
#define ONWARD_MOMENTS {moments}

/* All state that learning changes: copy these to save it, and back to load it. */
extern float onward_weights[ONWARD_WEIGHTS];
{moments_line}extern float onward_steps;
{seed_line}
/* One training step on ONWARD_BATCH images and labels (0 to ONWARD_CLASSES - 1); returns the sum of all losses. */
float onward_learn(const float *images, const int32_t *labels, float learning_rate);
"""
_LEARNING_BYTES_HEADER = """float onward_learn_uint8(const uint8_t *images, const int32_t *labels, float learning_rate);
float onward_learn_int8(const int8_t *images, const int32_t *labels, float learning_rate);
"""
_SEED_LINE = "/* The units that dropout keeps are drawn from this seed and the step. */\nextern uint32_t onward_seed;\n"
_BEGIN = """/* Written by onward. */
#include "model.h"
#include <math.h>

#define ZERO 0.0f
#define ONE 1.0f
#define BIG 3.402823466e38f
#define NUMBER(a) ((float)(a))
#define INT(a) ((int)(a))
#define WRAP(a, n) ((int)(a) < 0 ? (int)(a) + (n) : (int)(a))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))
#define EXP expf
#define LOG logf
#define LOG1P log1pf
#define EXPM1 expm1f
#define SQRT sqrtf
#define ABS fabsf
#define TANH tanhf
#define ERF erff
#define SIN sinf
#define COS cosf
#define FLOOR floorf
#define TRUNC truncf
#define POW powf

static inline float SQUARE(float a) { return a * a; }
static inline float RELU(float a) { return a > 0.0f ? a : 0.0f; }
static inline float MAX(float a, float b) { return a > b ? a : b; }
static inline float MIN(float a, float b) { return a < b ? a : b; }
static inline float SIGN(float a) { return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : 0.0f; }
"""
_DRAWS = """
uint32_t onward_seed;
static uint32_t drawn;
static inline uint32_t mixed(uint32_t a) {
  a = (a ^ (a >> 16)) * 0x85ebca6bu;
  a = (a ^ (a >> 13)) * 0xc2b2ae35u;
  return a ^ (a >> 16);
}
static inline float KEPT(int unit, uint32_t least) {
  return mixed(drawn + (uint32_t)unit * 0x9e3779b9u) >> 8 >= least ? 1.0f : 0.0f;
}
"""
_END = """
int onward_best(const float *scores) {
  int best = 0;
  for (int k = 1; k < ONWARD_CLASSES; k++) if (scores[k] > scores[best]) best = k;
  return best;
}
"""
_BYTES_END = """
static float input[ONWARD_IMAGE * INPUTS];
static void take_uint8(const uint8_t *image, int count) {
  for (int k = 0; k < count; k++) input[k] = image[k] / 255.0f;
}
static void take_int8(const int8_t *image, int count) {
  for (int k = 0; k < count; k++) input[k] = (image[k] + 128) / 255.0f;
}
void onward_scores_uint8(const uint8_t *image, float *scores) {
  take_uint8(image, ONWARD_IMAGE);
  onward_scores(input, scores);
}
void onward_scores_int8(const int8_t *image, float *scores) {
  take_int8(image, ONWARD_IMAGE);
  onward_scores(input, scores);
}
"""
_LEARNING_BYTES_END = """
float onward_learn_uint8(const uint8_t *images, const int32_t *labels, float learning_rate) {
  take_uint8(images, ONWARD_IMAGE * ONWARD_BATCH);
  return onward_learn(input, labels, learning_rate);
}
float onward_learn_int8(const int8_t *images, const int32_t *labels, float learning_rate) {
  take_int8(images, ONWARD_IMAGE * ONWARD_BATCH);
  return onward_learn(input, labels, learning_rate);
}
"""


def c_files(model: Model, learning: Learning | None = None) -> tuple[dict[str, str], Plain]:
    """Return the texts of `model.h` and `model.c`, and the program in them.

    Raises ValueError naming the operator or method that cannot be written as plain loops.
    """
    result = plain(model, C, learning)
    return {"model.h": _header(result), "model.c": _source(result)}, result


def _header(result: Plain) -> str:
    model, learning = result.model, result.learning
    learning_header = ""
    if learning is not None:
        moments = sum(result.moments.values())
        learning_header = _LEARNING_HEADER.format(
            batch=learning.batch_size,
            weights=sum(w.size for w in result.weights.values()),
            moments=moments,
            moments_line="extern float onward_moments[ONWARD_MOMENTS];\n" if moments else "",
            seed_line=_SEED_LINE if result.draws else "",
        )
        learning_header += _LEARNING_BYTES_HEADER if model.form.unit else ""
    return _HEADER.format(
        name=model.name.replace("*/", ""),
        noun=model.form.noun,
        learns="" if learning is None else ", and their training step",
        classes=len(model.spec.class_names),
        image=result.image_size,
        layout=model.layout,
        scores="Numbers" if model.task == "values" else "Scores, the higher the likelier,",
        numbers=_NUMBERS[model.form.unit],
        bytes=_BYTES_HEADER if model.form.unit else "",
        learning=learning_header,
    )


def _source(result: Plain) -> str:
    parts = [_BEGIN, _names(result.model.spec.class_names), _memory(result)]
    parts.append(_function("void onward_scores(const float *image, float *scores)", result.scores))
    if result.step is not None:
        parts += [_DRAWS, _learn(result)] if result.draws else [_learn(result)]
    parts.append(_END)
    if result.model.form.unit:
        batch = result.learning.batch_size if result.learning is not None else 1
        parts.append(_BYTES_END.replace("INPUTS", str(batch)))
        parts += [_LEARNING_BYTES_END] if result.step is not None else []
    return "\n".join([*parts, ""])


def _names(names: tuple[str, ...]) -> str:
    quoted = ", ".join('"' + "".join(_quoted(byte) for byte in name.encode()) + '"' for name in names)
    return f"const char *const onward_class_names[ONWARD_CLASSES] = {{{quoted}}};\n"


def _quoted(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"


def _memory(result: Plain) -> str:
    lines = [
        f"static const float {name}[] = {_array(values)}; /* {result.names[name]} */"
        for name, values in result.fixed.items()
    ]
    if result.weights:
        whole = np.concatenate(list(result.weights.values()))
        lines += [f"float onward_weights[ONWARD_WEIGHTS] = {_array(whole)};", "float onward_steps;"]
        lines += _pointers("onward_weights", {name: w.size for name, w in result.weights.items()}, result)
    if result.moments:
        lines += ["float onward_moments[ONWARD_MOMENTS];", *_pointers("onward_moments", result.moments, result)]
    lines += [f"static float working[{max(1, result.working)}];"]
    return "\n".join(lines) + "\n"


def _pointers(array: str, sizes: dict[str, int], result: Plain) -> list[str]:
    lines, offset = [], 0
    for name, size in sizes.items():
        lines.append(f"#define {name} ({array} + {offset}) /* {result.names[name]} */")
        offset += size
    return lines


def _array(values: np.ndarray) -> str:
    numbers = [_literal(float(value)).strip("()") for value in values]
    rows = [", ".join(numbers[k : k + 12]) for k in range(0, len(numbers), 12)]
    return "{" + ",\n  ".join(rows) + "}"


def _function(head: str, routine: Routine, before: str = "", after: str = "") -> str:
    pointers = [f"  float *const {name} = working + {offset};" for name, offset in routine.arena.offsets.items()]
    body = ["  {\n" + "\n".join(f"    {line}" for line in s.lines) + "\n  }" for s in routine.statements]
    return "\n".join([head + " {", *([before] if before else []), *pointers, *body, *([after] if after else []), "}\n"])


def _learn(result: Plain) -> str:
    assert result.step is not None
    losses = losses_of(result.step)
    before = [
        "  static float labels[ONWARD_BATCH], step[1], rate[1];",
        *(f"  float {name}[1];" for name in losses),
        "  for (int k = 0; k < ONWARD_BATCH; k++) labels[k] = (float)given[k];",
        "  step[0] = ++onward_steps;",
        "  rate[0] = learning_rate;",
        "  (void)step;",
        *(["  drawn = mixed(mixed(onward_seed) ^ (uint32_t)onward_steps);"] if result.draws else []),
    ]
    after = f"  return {' + '.join(f'{name}[0]' for name in losses) or '0.0f'};"
    head = "float onward_learn(const float *images, const int32_t *given, float learning_rate)"
    return _function(head, result.step, "\n".join(before), after)
