"""JavaScript: one module without imports, for Node and browsers."""

import base64
import json

import numpy as np

from onward.export.loops import Dialect
from onward.export.plain import Plain, Routine, losses_of, plain
from onward.export.program import Model
from onward.export.step import Learning


def _literal(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "Infinity" if value > 0 else "(-Infinity)"
    text = repr(float(np.float32(value)))
    return f"({text})" if text.startswith("-") else text


JAVASCRIPT = Dialect(counter="let", local="let", literal=_literal)

_BEGIN = """// {name}: scores of {noun}{learns}, written by onward. See README.md beside it.
const ZERO = 0, ONE = 1, BIG = 3.402823466e38;
const {{exp: EXP, log: LOG, log1p: LOG1P, expm1: EXPM1, sqrt: SQRT, abs: ABS, tanh: TANH, sin: SIN, cos: COS}} = Math;
const {{floor: FLOOR, trunc: TRUNC, trunc: INT, pow: POW, sign: SIGN}} = Math;
const {{max: MAX, min: MIN, max: MOST, min: LEAST}} = Math;
const NUMBER = (a) => a, SQUARE = (a) => a * a, RELU = (a) => (a > 0 ? a : 0), WRAP = (a, n) => (a < 0 ? a + n : a);
/** The error function; its series converges fast, and from 4 on it is 1 in single precision. */
function ERF(a) {{
  if (Math.abs(a) >= 4) return Math.sign(a);
  let term = (2 / Math.sqrt(Math.PI)) * a * Math.exp(-a * a), sum = term;
  for (let n = 1; Math.abs(term) > 1e-9 * Math.abs(sum); n++) sum += term *= (2 * a * a) / (2 * n + 1);
  return sum;
}}

function numbers(text) {{
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}}

export const classNames = {names};
export const shape = {shape}; // {layout}
"""
_LEARNING = """export const batch = {batch}; // images of a training step
export const weights = numbers("{weights}");
export const moments = new Float32Array({moments});
let steps = 0;

/** A copy of all state that learning changes; `setState` restores it. */
export const state = () => ({{ weights: weights.slice(), moments: moments.slice(), steps }});
export function setState(kept) {{
  if (kept.weights.length !== weights.length || kept.moments.length !== moments.length) {{
    throw new Error("this state belongs to another model");
  }}
  weights.set(kept.weights);
  moments.set(kept.moments);
  steps = kept.steps;
}}
"""
_DRAWS = """
let seed = 0, drawn = 0;
/** The units that dropout keeps are drawn from this seed and the number of the step. */
export function setSeed(number) {
  seed = number >>> 0;
}
function mixed(a) {
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (a ^ (a >>> 16)) >>> 0;
}
const KEPT = (unit, least) => (mixed((drawn + Math.imul(unit, 0x9e3779b9)) >>> 0) >>> 8 >= least ? 1 : 0);
"""
_SCORES = "/** Scores of one image, the higher the likelier: pixels in [0, 1], channel by channel, row by row. */"
_BLOCKS = """{scores}
export const scores = (image) => readings(image).scores;
/** The scores of every block, one row each. */
export const blockScores = (image) => {{
  const {{ blocks }} = readings(image);
  return Array.from({{ length: {blocks} }}, (_, k) => Array.from(blocks.slice(k * {classes}, (k + 1) * {classes})));
}};
"""
_LEARN = "/** One training step on `batch` images and their labels; returns the loss of every span. */"


def javascript_files(model: Model, learning: Learning | None = None) -> tuple[dict[str, str], Plain]:
    """Return the text of `model.mjs`, and the program in it. Raises ValueError naming an unsupported operator."""
    result = plain(model, JAVASCRIPT, learning)
    return {"model.mjs": javascript(result)}, result


def javascript(result: Plain) -> str:
    """Return the text of the module of a model that was written as loops in this dialect."""
    spec, learning = result.model.spec, result.learning
    parts = [
        _BEGIN.format(
            name=result.model.name.replace("\n", " "),
            noun=result.model.form.noun,
            layout=result.model.layout,
            learns="" if learning is None else ", and their training step",
            names=json.dumps(spec.class_names),
            shape=json.dumps(spec.shape),
        )
    ]
    parts += [
        f'const {name} = numbers("{_text(values)}"); // {result.names[name]}' for name, values in result.fixed.items()
    ]
    if learning is not None:
        whole = np.concatenate(list(result.weights.values()))
        moments = sum(result.moments.values())
        parts.append(_LEARNING.format(batch=learning.batch_size, weights=_text(whole), moments=moments))
        parts += _views("weights", {name: w.size for name, w in result.weights.items()})
        parts += _views("moments", result.moments)
    parts.append(f"const working = new Float32Array({max(1, result.working)});")
    classes = len(spec.class_names)
    before = f"  const scores = new Float32Array({classes});"
    if result.blocks:
        before += f"\n  const blocks = new Float32Array({result.blocks * classes});"
        parts.append(_BLOCKS.format(blocks=result.blocks, classes=classes, scores=_SCORES))
        parts.append(_function("function readings(image)", result.scores, before, "  return { scores, blocks };"))
    else:
        head = f"{_SCORES}\nexport function scores(image)"
        parts.append(_function(head, result.scores, before, "  return scores;"))
    return "\n".join([*parts, _learn(result)]) + "\n"


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _views(array: str, sizes: dict[str, int]) -> list[str]:
    lines, offset = [], 0
    for name, size in sizes.items():
        lines.append(f"const {name} = {array}.subarray({offset}, {offset + size});")
        offset += size
    return lines


def _function(head: str, routine: Routine, before: str, after: str) -> str:
    sizes = routine.arena.offsets
    arrays = [f"  const {name} = working.subarray({offset});" for name, offset in sizes.items()]
    body = ["  {\n" + "\n".join(f"    {line}" for line in s.lines) + "\n  }" for s in routine.statements]
    return "\n".join([head + " {", before, *arrays, *body, after, "}"])


def _learn(result: Plain) -> str:
    if result.step is None:
        return ""
    losses = losses_of(result.step)
    before = "\n".join(f"  const {name} = [0];" for name in losses)
    before += "\n  const step = [++steps], rate = [learningRate];"
    if result.draws:
        before += "\n  drawn = mixed(mixed(seed) ^ steps);"
    after = f"  return [{', '.join(f'{name}[0]' for name in losses)}];"
    head = f"{_DRAWS if result.draws else ''}{_LEARN}\nexport function learn(images, labels, learningRate)"
    return _function(head, result.step, before, after)
