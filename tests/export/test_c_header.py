"""C headers, compiled as strictly as a compiler can be asked to, and printed back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from ristretto.export import EXPORTERS, Subject
from ristretto.formats import FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.layers import Convolution, Deconvolution, InnerProduct, Input
from ristretto.net import Layer, LayerQuant, Net, Phase
from tests.export import readers

STRICT = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow"]
PARAMS: dict[str, Format] = {
    "int": FixedPoint(8, 5),
    "1st": FixedPoint(1, 0),
    "fire2/squeeze1x1": FixedPoint(16, 12),
    "fire2_squeeze1x1": FixedPoint(4, -2),
    "wide": FixedPoint(31, 20),
    "powers": PowerOfTwo(-8, -1),
    "mini": MiniFloat(4, 3),
}


@pytest.fixture(scope="module")
def net() -> Net:
    rng = np.random.default_rng(4)
    layers = [Layer("data", Input(((2, 4, 5, 5),)), (), ("data",))]
    ops = [Convolution(3, (2, 3), pad=(1, 0), group=1), Deconvolution(2, (2, 2), (2, 2)), InnerProduct(3)]
    for index, (name, fmt) in enumerate(PARAMS.items()):
        op = ops[index % len(ops)]
        blobs = tuple(rng.normal(0, 4, shape).astype(np.float32) for shape in op.blob_shapes([(2, 4, 5, 5)]))
        ends = fmt if isinstance(fmt, MiniFloat) else FixedPoint(8, 3)
        layers.append(Layer(name, op, ("data",), (name,), blobs, quant=LayerQuant(ends, ends, fmt)))
    return Net("every", tuple(layers)).for_phase(Phase.TEST)


def test_what_a_compiler_reads_is_what_the_archive_holds(net: Net, tmp_path: Path) -> None:
    subject = Subject(net, {"data": (2, 4, 5, 5)})
    done, wanted = EXPORTERS["c-header"]().export(subject), EXPORTERS["integers"]().export(subject)
    for path, content in done.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    body, values = [], []
    for layer, other in zip(readers.manifest_of(done)["layers"], readers.manifest_of(wanted)["layers"], strict=True):
        for table, same in zip(layer["tables"], other["tables"], strict=True):
            (place,) = table["places"]
            assert place["kind"] == "c"
            name, size = place["key"], f"sizeof {place['key']} / sizeof {place['key']}[0]"
            body.append(f'for (i = 0; i < {size}; i++) printf("%lld\\n", (long long){name}[i]);')
            words = readers.patterns(wanted.files, same, "npz")
            signed = table["packing"] == "twos_complement"
            values += [readers.signed(word, table["bits"]) if signed else word for word in words]
        path, upper = layer["datapath"], layer["stem"].upper()
        if path is not None:
            constants = {
                "PRODUCT_SHIFT": path["product"]["left_shift"],
                "BIAS_SHIFT": path["bias"]["left_shift"],
                "OUT_SHIFT": path["output"]["right_shift"],
                "OUT_MIN": path["output"]["low_code"],
                "OUT_MAX": path["output"]["high_code"],
                "ACCUMULATOR_BITS": path["accumulator"]["bits"],
                "ACCUMULATOR_FL": path["accumulator"]["fl"],
                "IN_CHANNELS": layer["walk"]["in_shape"][0],
                "PAD_HEIGHT": layer["walk"]["pad"][0],
            }
            body += [f'printf("%lld\\n", (long long){upper}_{constant});' for constant in constants]
            values += constants.values()
    # Included twice, and with the folder among those of the system's headers.
    (tmp_path / "main.c").write_text(
        '#include "net.h"\n#include "net.h"\n#include <stdio.h>\n'
        f"int main(void) {{\nsize_t i;\n{chr(10).join(body)}\nreturn 0;\n}}\n"
    )
    program = tmp_path / "main"
    made = subprocess.run(
        [*STRICT, f"-I{tmp_path}", tmp_path / "main.c", "-o", program], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    shown = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert list(map(int, shown.split())) == values
    assert len(values) > 500


def test_constants_of_layers_do_not_meet() -> None:
    """No constant's name is the end of another one, behind an underscore."""
    from ristretto.export.c_header import constants
    from ristretto.export.word_layers import words_of
    from tests.export.small import chain

    fmt = FixedPoint(8, 0)
    (layer,) = words_of(Subject(chain(np.ones((2, 4)), [1, 2], fmt, fmt, fmt), {"data": (1, 4)})).layers
    names = list(constants(layer))
    assert not [(a, b) for a in names for b in names if a.endswith(f"_{b}")]
