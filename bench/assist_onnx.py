"""The networks of a step of the learned policy, in torch and in ONNX Runtime: batch 1, one core.

From the state, the cloud in the wrist's frame and the actuators' angles to the actions: the
primitive's gradient at the policy's query time and the policy itself, both small, and both of the
paper's size. With the weights they are initialised with, as these don't change the time. Turn by
turn, so that other programs meet all alike; both libraries have to give the same actions. The
paper's PointNet++ chooses points of each cloud by code that can't be exported, so that it runs in
torch alone.

    pip install onnxruntime==1.23.2      # for this comparison alone
    python bench/assist_onnx.py [--points 1024] [--repeats 100] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before libraries start threads

import numpy as np  # noqa: E402
import torch  # noqa: E402
from reports import write_report  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig  # noqa: E402
from dexgrasp_models.nets.basis_points import BasisPoints  # noqa: E402
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig  # noqa: E402

SAME = 1e-4
"""Actions may differ by this."""

Step = Callable[[dict[str, np.ndarray]], np.ndarray]


class Both(nn.Module):
    """Primitive and policy as `InputMaker` puts them together."""

    def __init__(self, size: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = AssistNetwork(getattr(AssistNetworkConfig, size)()).eval()
        self.primitive = GraspGF(getattr(GraspGFConfig, size)()).eval()
        with torch.no_grad():  # a policy begins with actions of nearly zero
            for values in self.policy.head[-1].parameters():
                values.mul_(100.0)

    def forward(self, states: Tensor, points: Tensor, angles: Tensor) -> Tensor:
        clouds, encoder = self.policy.prepared(points), self.primitive.encoder
        features = encoder.mlp(clouds) if isinstance(encoder, BasisPoints) else encoder(points)
        query = self.policy.config.query_time
        gradients = self.primitive.gradient_of_angles(features, angles, query)
        return self.policy.actions(states, clouds, gradients)


def in_torch(both: Both) -> Step:
    def step(given: dict[str, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return both(**{name: torch.as_tensor(values) for name, values in given.items()}).numpy()

    return step


def in_onnx(both: Both, given: dict[str, np.ndarray], folder: Path) -> Step:
    """Of the exported networks.

    Raises:
        ImportError: there is no onnxruntime.
    """
    import onnxruntime

    # The exporter lacks these.
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, 18)
    torch.onnx.register_custom_op_symbolic("aten::asinh", _asinh, 18)
    file = folder / "step.onnx"
    example = {name: torch.as_tensor(values) for name, values in given.items()}
    torch.onnx.export(both, kwargs=example, f=str(file), dynamo=False, input_names=list(given))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def step(given: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(None, {name: given[name] for name in names})[0])

    return step


def _expm1(graph: Any, values: Any) -> Any:
    one = graph.op("Constant", value_t=torch.tensor(1.0))
    return graph.op("Sub", graph.op("Exp", values), one)


def _asinh(graph: Any, values: Any) -> Any:
    return graph.op("Asinh", values)


def some_inputs(points: int, states: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Of one hand."""
    given = {
        "states": rng.normal(size=(1, states)),
        "points": rng.normal([0.0, -0.05, 0.08], 0.03, (1, points, 3)),
        "angles": rng.uniform(0.0, 0.5, (1, 18)),
    }
    return {name: values.astype(np.float32) for name, values in given.items()}


def timed(repeats: int, points: int) -> dict[str, dict[str, float]]:
    """Medians of processor time, ms, by size and library."""
    rng, steps, widths = np.random.default_rng(0), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for size in ("small", "paper"):
            both = Both(size)
            widths[size] = len(both.policy.mean)
            given = some_inputs(points, widths[size], rng)
            steps[size, "torch"] = in_torch(both)
            if size == "small":
                steps[size, "onnx"] = in_onnx(both, given, Path(folder))
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for _ in range(repeats + 5):
        inputs = {size: some_inputs(points, states, rng) for size, states in widths.items()}
        found = {}
        for (size, library), step in steps.items():
            began = time.process_time()
            found[size, library] = step(inputs[size])
            spent[size, library].append(1e3 * (time.process_time() - began))
        difference = np.abs(found["small", "torch"] - found["small", "onnx"]).max()
        assert difference < SAME, f"actions differ by {difference:.1e}"
    medians: dict[str, dict[str, float]] = {"small": {}, "paper": {}}
    for (size, library), values in spent.items():
        medians[size][library] = float(np.median(values[5:]))  # after five to warm up
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1024, help="of the object's cloud")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    found = timed(arguments.repeats, arguments.points)
    print(f"both networks, {arguments.points} points, one core; ms of processor time")
    for size, row in found.items():
        print(f"{size:8s}" + "".join(f"{name:>8s} {value:6.2f}" for name, value in row.items()))
    write_report(
        arguments.out,
        {
            "points": arguments.points,
            "sizes": found,
        },
    )


if __name__ == "__main__":
    main()
