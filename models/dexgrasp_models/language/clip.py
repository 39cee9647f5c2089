"""CLIP from a folder: features of images and texts that can be compared.

The package carries no weights of it. The folder is one as `transformers` writes and reads it, with
what was published, such as OpenAI's ViT-B/32, or what `dexgrasp train clip` left.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from dexgrasp_models.nets.weights import WeightsError

if TYPE_CHECKING:
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

PUBLISHED = "openai/clip-vit-base-patch32"
"""Name on the Hugging Face hub of weights to begin with."""

_BATCH = 32  # images whose features are computed at once
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
HOW_TO_GET = (
    f"get the files config.json, preprocessor_config.json, {' and '.join(_TOKENIZERS[1])} and "
    f"{' or '.join(_WEIGHTS)} of {PUBLISHED} from huggingface.co (hf download {PUBLISHED} "
    "--local-dir FOLDER)"
)
NO_CLIP = f"a text needs CLIP, whose weights don't come along: {HOW_TO_GET}"
"""Why a text is refused where no weights are given, and what to do."""


class Clip:
    """An image and a text encoder whose features lie close where image and text fit together.

    Args:
        model: both encoders.
        tokenizer: of texts.
        image_processor: what makes an encoder's input of an image.
    """

    def __init__(
        self, model: CLIPModel, tokenizer: CLIPTokenizer, image_processor: CLIPImageProcessorPil
    ) -> None:
        self.model, self.tokenizer, self.image_processor = model, tokenizer, image_processor

    @property
    def image_side(self) -> int:
        """Side of the images that the encoder sees, px."""
        config: Any = self.model.config.vision_config
        return config.image_size

    @property
    def scale(self) -> Tensor:
        """() factor that turns a cosine of features into a logit."""
        return self.model.logit_scale.exp()

    def image_features(self, images: Sequence[np.ndarray] | np.ndarray) -> Tensor:
        """(N, D) unit vectors of N images, (H, W, 3) uint8 RGB each."""
        pixels = self.image_processor(list(images), return_tensors="pt")["pixel_values"]
        features = self.model.get_image_features(pixels.to(self.model.device)).pooler_output
        return functional.normalize(features, dim=-1)

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """(N, D) unit vectors of N texts; what is too long of a text is left out."""
        config: Any = self.model.config.text_config
        limit = config.max_position_embeddings
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
        ).to(self.model.device)
        features = self.model.get_text_features(
            tokens["input_ids"], tokens["attention_mask"]
        ).pooler_output
        return functional.normalize(features, dim=-1)

    @torch.no_grad()
    def grasp_features(self, grasps: Iterable[np.ndarray]) -> Tensor:
        """(B, D) mean over the views of the features of B grasps, (V, H, W, 3) uint8 each.

        A product with a text's features is the mean cosine of a grasp's images with the text.
        """
        means = [
            self.image_features(np.concatenate(several))
            .unflatten(0, (len(several), -1))
            .mean(dim=1)
            for several in _batches(grasps)
        ]
        return torch.cat(means)


def load_clip(folder: str | Path) -> Clip:
    """CLIP from a folder, for inference; nothing is fetched from anywhere.

    Raises:
        WeightsError: no folder is given, it lacks files, or is that of another model; the message
            says which files to get.
    """
    if not str(folder):
        raise WeightsError(NO_CLIP)
    path = Path(folder)
    if missing := _missing(path):
        raise WeightsError(f"{path}: no {', '.join(missing)}; {HOW_TO_GET}")
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    _hush_transformers()
    try:
        kind = json.loads((path / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind != "clip":
            raise WeightsError(f"{path}: is a model of the type {kind!r}, not CLIP; {HOW_TO_GET}")
        loaded: Any = CLIPModel.from_pretrained(
            path, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
        model, told = loaded
        tokenizer = CLIPTokenizer.from_pretrained(path, local_files_only=True)
        image_processor = CLIPImageProcessorPil.from_pretrained(path, local_files_only=True)
    except WeightsError:
        raise
    except Exception as error:  # whatever reading someone's files raises
        raise WeightsError(f"{path}: can't be used ({error}); {HOW_TO_GET}") from error
    # What is not in the file would be left as it was drawn at random.
    if absent := [*told["missing_keys"], *told["mismatched_keys"]]:
        raise WeightsError(
            f"{path}: its weights lack {len(absent)} of CLIP's parameters, such as {absent[0]}; "
            f"{HOW_TO_GET}"
        )
    return Clip(model.eval().requires_grad_(False), tokenizer, image_processor)


def save_clip(clip: Clip, folder: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write a folder that `load_clip` and `CLIPModel.from_pretrained` read.

    Each file is put in the place of an older one, whole.

    Args:
        clip: what to write.
        folder: where to.
        notes: anything JSON can hold, for `training.json`.

    Raises:
        OSError: it can't be written, as on a full disk; older files stay.
    """
    _hush_transformers()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as name:
        temporary = Path(name)
        try:
            for part in (clip.tokenizer, clip.image_processor, clip.model):
                part.save_pretrained(temporary)
        except SafetensorError as error:  # as on a full disk
            raise OSError(f"{folder}: can't be written ({error})") from error
        text = json.dumps(dict(notes or {}), indent=2)
        (temporary / "training.json").write_text(text + "\n", encoding="utf-8")
        for file in sorted(temporary.iterdir()):
            file.chmod(0o644)
            file.replace(folder / file.name)


def _hush_transformers() -> None:
    """Without its progress bars and reports: what matters is raised as an error."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _missing(folder: Path) -> list[str]:
    """Names of files that a folder lacks."""

    def there(name: str) -> bool:
        return (folder / name).is_file()

    missing = [name for name in ("config.json", "preprocessor_config.json") if not there(name)]
    if not any(all(map(there, names)) for names in _TOKENIZERS):
        missing.append(" and ".join(_TOKENIZERS[1]))
    if not any(map(there, _WEIGHTS)):
        missing.append(" or ".join(_WEIGHTS))
    return missing


def _batches(grasps: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """As many grasps at once as have about `_BATCH` images."""
    source = iter(grasps)
    for first in source:
        yield [first, *islice(source, max(_BATCH // len(first) - 1, 0))]
