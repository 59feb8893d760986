"""Exported policies in NumPy alone.

This file needs nothing but NumPy, so it can be copied to where neither hilserl nor JAX is installed:

    from numpy_policy import NumpyPolicy

    policy = NumpyPolicy("policies/cube")
    action = policy.act({"state": state})

A policy from pixels wants the features of its cameras' frozen encoder beside the state, `front.features` for the camera
`front`; `inputs` has the sizes of all inputs.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_CLIP = 10.0
_FINE, _FINE_CLIP = 8.0, 3.0
_DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I64": np.int64, "BOOL": np.bool_}
Arrays = dict[str, np.ndarray]


def read_safetensors(path: Path) -> Arrays:
    """Read a safetensors file; numbers of 16 bits become float32.

    Raises:
        ValueError: The file is cut.
    """
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:start])
        arrays = {}
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                array = np.frombuffer(data[start + begin : start + end], _DTYPES[entry["dtype"]])
                arrays[name] = array.reshape(entry["shape"]).astype(np.float32)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return arrays


class NumpyPolicy:
    """Deterministic actor of an exported policy.

    Args:
        directory: Directory that `hilserl export` wrote.

    Attributes:
        description: Content of `policy.json`.
        inputs: Numbers in each input by name.

    Raises:
        ValueError: The weights are damaged, or contain an encoder that is trained itself.
    """

    def __init__(self, directory: Path | str) -> None:
        directory = Path(directory)
        self.description = json.loads((directory / "policy.json").read_text())
        weights = directory / "policy.safetensors"
        if hashlib.sha256(weights.read_bytes()).hexdigest() != self.description["weights"]["sha256"]:
            raise ValueError(f"{weights} is damaged: its checksum is not the one in policy.json.")
        arrays = read_safetensors(weights)
        if any(".trunk." in name for name in arrays if name.startswith("encoder.")):
            raise ValueError(f"{weights} has an image encoder that is trained itself; NumpyPolicy has none.")
        self._arrays = arrays
        # The actor's heads stand in alphabetical order, as JAX orders a dictionary.
        self._heads = sorted({name.split("'")[1] for name in arrays if name.startswith("encoder.heads[")})
        self.inputs = {"state": len(arrays["encoder.centre"]), **{name: self._inputs_of(name) for name in self._heads}}
        action = self.description["spec"]["action"]
        self._grippers: list[int] = action["grippers"]
        self._size = len(action["names"])

    def act(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Choose the action of one observation.

        Args:
            observation: `state`, float32 [n], and the features of each camera.

        Returns:
            float32 [m] in [-1, 1]; a gripper is -1 to close, 0 to hold, +1 to open.

        Raises:
            ValueError: An input is missing, or has another size.
        """
        for name, size in self.inputs.items():
            found = np.size(observation[name]) if name in observation else "none"
            if found != size:
                raise ValueError(f"The input {name!r} has {size} numbers, got {found}.")
        features = self._encode(observation)
        continuous = np.tanh(self._linear("policy.mean", self._mlp("policy.trunk", features)))
        if not self._grippers:
            return continuous
        inputs = np.concatenate([features, continuous])
        values = self._linear("gripper.values", self._mlp("gripper.trunk", inputs))
        choices = list(itertools.product((-1.0, 0.0, 1.0), repeat=len(self._grippers)))
        action = np.empty(self._size, np.float32)
        action[[index for index in range(self._size) if index not in self._grippers]] = continuous
        action[self._grippers] = choices[int(np.argmax(values))]
        return action

    def _encode(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        arrays = self._arrays
        state = np.asarray(observation["state"], np.float32)
        state = np.clip((state - arrays["encoder.centre"]) / arrays["encoder.scale"], -_CLIP, _CLIP)
        if "encoder.proprio.weight" in arrays:
            state = self._bottleneck("encoder.proprio", state)
        seen = np.concatenate([state, *(self._head(name, observation[name]) for name in self._heads)])
        if "encoder.goal.weight" not in arrays:
            return seen
        change = self._bottleneck("encoder.goal.hidden", seen) @ arrays["encoder.goal.weight"]
        return np.concatenate([seen, change, np.clip(_FINE * change, -_FINE_CLIP, _FINE_CLIP)])

    def _inputs_of(self, head: str) -> int:
        prefix = f"encoder.heads['{head}']"
        kernel = self._arrays.get(f"{prefix}.kernel")
        return self._arrays[f"{prefix}.centre"].size if kernel is None else kernel[..., 0].size

    def _head(self, name: str, features: np.ndarray) -> np.ndarray:
        arrays, prefix = self._arrays, f"encoder.heads['{name}']"
        x = np.asarray(features, np.float32)
        if f"{prefix}.kernel" in arrays:  # a whole feature map [channels, rows, columns]
            kernel = arrays[f"{prefix}.kernel"]
            x = np.einsum("cs,csk->ck", x.reshape(kernel.shape[:2]), kernel).reshape(-1)
        else:  # low frequencies [channels, frequencies]
            x = (x.reshape(-1) - arrays[f"{prefix}.centre"]) / arrays[f"{prefix}.scale"]
            x = np.clip(x, -_CLIP, _CLIP)
        return self._bottleneck(f"{prefix}.bottleneck", x)

    def _bottleneck(self, name: str, x: np.ndarray) -> np.ndarray:
        x = x @ self._arrays[f"{name}.weight"]
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-6)
        return np.tanh(x * self._arrays[f"{name}.norm_scale"] + self._arrays[f"{name}.norm_bias"])

    def _mlp(self, name: str, x: np.ndarray) -> np.ndarray:
        for layer in itertools.takewhile(lambda i: f"{name}.layers[{i}].weight" in self._arrays, itertools.count()):
            x = self._linear(f"{name}.layers[{layer}]", x)
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
            x = np.tanh(x * self._arrays[f"{name}.norms[{layer}].weight"] + self._arrays[f"{name}.norms[{layer}].bias"])
        return x

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return self._arrays[f"{name}.weight"] @ x + self._arrays[f"{name}.bias"]
