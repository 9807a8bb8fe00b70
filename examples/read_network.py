"""Reads a quantized network and runs it on images, with NumPy alone.

    python read_network.py Q.npz IMAGES.npz

prints the class of each image. Q.npz is a file that `systolith quantize` wrote; IMAGES.npz has raw
values, integers, as `images`: (images, height, width) or (images, height, width, channels).
Written from docs/files.md and docs/arithmetic.md; copy what you need.
"""

import json
import sys

import numpy as np


def read(path):
    """The header of a quantized network, and its arrays by name."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    if header["schema"] != "systolith.quantized-network/1":
        raise SystemExit(f"{path}: is {header['schema']}, not a quantized network")
    return header, arrays


def run(header, arrays, images):
    """The raw values of every layer after the input, by name: (images, rows, columns, channels)."""
    source, *layers = header["graph"]["layers"]
    x = images.reshape(-1, source["height"], source["width"], source["channels"]).astype(np.int64)
    border, values = source["border"], {}
    for layer, form in zip(layers, header["layers"], strict=True):
        prefix = f"fixed/{layer['name']}/"
        own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        before = layer.get("padding", (0, 0))
        after = layer.get("padding_end", before)
        sides = ((border + a, border + b) for a, b in zip(before, after, strict=True))
        x = np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=form["padding_value"])
        x = values[layer["name"]] = requantize(accumulators(layer, form, own, x), layer, form, own)
        border = 0
    return values


def accumulators(layer, form, own, x):
    """The exact sums of a layer."""
    kind = layer["type"]
    weights = own["weights"].astype(np.int64) if "weights" in own else None
    if kind == "convolution":
        step, gap = layer.get("stride", (1, 1)), layer.get("dilation", (1, 1))
        acc = sum(part @ weights[i, j] for i, j, part in parts(x, layer["kernel"], step, gap))
    elif kind == "dense":
        acc = x.reshape(len(x), 1, 1, -1) @ weights
    elif kind == "radial_basis":
        inputs = x.reshape(len(x), 1, 1, -1, 1) << form["input_shift"]
        acc = ((inputs - weights) ** 2).sum(axis=3)
    else:
        step = layer.get("stride", layer["window"])
        windows = [part for _, _, part in parts(x, layer["window"], step, (1, 1))]
        if kind == "max_pooling":
            return np.maximum.reduce(windows)
        factors = own.get("factors", np.ones((1, 1), np.int64)).astype(np.int64)
        acc = sum(windows) * (factors[:, :, np.newaxis] if weights is None else weights)
    return acc + own.get("bias", 0)


def parts(x, size, step, gap):
    """For each row and column of a window, and the values of all windows there."""
    last = [n - (k - 1) * g for n, k, g in zip(x.shape[1:3], size, gap, strict=True)]
    for i, j in np.ndindex(*size):
        down, across = i * gap[0], j * gap[1]
        yield i, j, x[:, down : down + last[0] : step[0], across : across + last[1] : step[1]]


def requantize(acc, layer, form, own):
    """The raw values of a layer, from its accumulators."""
    if layer["activation"]["kind"] == "relu":
        acc = np.maximum(acc, 0)
    how = form["requantization"]
    if how is None:
        return acc
    shifts = own["shifts"].astype(np.int64)
    acc = (acc * how["multiplier"]) << np.maximum(-shifts, 0)
    right = np.maximum(shifts, 0)
    half, floor = (1 << right) >> 1, acc >> right
    if how["rounding"] == "half_up":
        floor = (acc + half) >> right
    elif how["rounding"] == "half_even":
        floor = np.where(right > 0, (acc + half - 1 + (floor & 1)) >> right, floor)
    bits, signed = how["target"]["bits"], how["target"]["signed"]
    low = -(1 << bits - 1) if signed else 0
    high, (least, most) = low + (1 << bits) - 1, how.get("limits", (None, None))
    wrapped = (floor - low) % (1 << bits) + low
    raw = np.clip(floor, low, high) if how["overflow"] == "saturate" else wrapped
    raw = np.clip(raw, low if least is None else least, high if most is None else most)
    return own["table"].astype(np.int64)[raw - low] if "table" in own else raw


def classes(header, values):
    """The class of each image, from what `run` returns."""
    last = header["graph"]["layers"][-1]
    scores = values[last["name"]].reshape(len(values[last["name"]]), -1)
    return scores.argmin(axis=1) if last["type"] == "radial_basis" else scores.argmax(axis=1)


if __name__ == "__main__":
    q, images = sys.argv[1:] if len(sys.argv) == 3 else sys.exit("usage: read_network.py Q IMAGES")
    network, its_arrays = read(q)
    found = classes(network, run(network, its_arrays, np.load(images)["images"]))
    sys.stdout.writelines(f"{each}\n" for each in found)
