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
        rows, columns = (border + n for n in layer.get("padding", (0, 0)))
        around = ((0, 0), (rows, rows), (columns, columns), (0, 0))
        x = np.pad(x, around, constant_values=form["padding_value"])
        x = requantize(accumulators(layer, form, own, x), layer, form, own)
        values[layer["name"]] = x
        border = 0
    return values


def accumulators(layer, form, own, x):
    """The exact sums of a layer."""
    kind = layer["type"]
    weights = own["weights"].astype(np.int64) if "weights" in own else None
    if kind == "convolution":
        rows, columns = (n - k + 1 for n, k in zip(x.shape[1:3], layer["kernel"], strict=True))
        acc = sum(
            x[:, i : i + rows, j : j + columns] @ weights[i, j]
            for i in range(layer["kernel"][0])
            for j in range(layer["kernel"][1])
        )
    elif kind == "dense":
        acc = x.reshape(len(x), 1, 1, -1) @ weights
    elif kind == "radial_basis":
        inputs = x.reshape(len(x), 1, 1, -1, 1) << form["input_shift"]
        acc = ((inputs - weights) ** 2).sum(axis=3)
    else:
        down, across = layer["window"]
        rows, columns = x.shape[1] // down, x.shape[2] // across
        whole = x[:, : rows * down, : columns * across]
        windows = whole.reshape(len(x), rows, down, columns, across, -1)
        if kind == "max_pooling":
            return windows.max(axis=(2, 4))
        acc = windows.sum(axis=(2, 4))
        if kind == "subsampling":
            acc = acc * weights
    return acc + own.get("bias", 0)


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
    floor = acc >> right
    rest = acc - (floor << right)
    if how["rounding"] == "half_up":
        floor = floor + (2 * rest >= 1 << right) * (right > 0)
    elif how["rounding"] == "half_even":
        floor = floor + ((2 * rest > 1 << right) | (2 * rest == 1 << right) & (floor % 2 == 1))
    bits, signed = how["target"]["bits"], how["target"]["signed"]
    low = -(1 << bits - 1) if signed else 0
    if how["overflow"] == "saturate":
        raw = np.clip(floor, low, low + (1 << bits) - 1)
    else:
        raw = (floor - low) % (1 << bits) + low
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
