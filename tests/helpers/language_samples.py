"""A small CLIP, and grasps of bottles and hammers by their parts, for tests of language."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.language.captions import TEMPLATES
from dexgrasp_models.language.clip import Clip
from dexgrasp_models.objects.library import make_named, split_names
from dexgrasp_models.training.data import TRAINING, VALIDATION

SIDE = 40
CATEGORIES = ("bottle", "hammer")
SCALE = 0.12
_WORDS = ["bottle", "hammer", "body", "neck", "cap", "handle", "head", "mug"]


def small_clip(seed: int = 0) -> Clip:
    """A CLIP of two small layers each, with a tokenizer of its own, untrained."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    vocabulary, merges = _vocabulary()
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges)
    layers = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    layers |= {"num_attention_heads": 4, "projection_dim": 32}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = layers | ends | {"vocab_size": len(vocabulary), "max_position_embeddings": 24}
    vision = layers | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=32))
    sizes = {"shortest_edge": SIDE}, {"height": SIDE, "width": SIDE}
    images = CLIPImageProcessorPil(size=sizes[0], crop_size=sizes[1])
    return Clip(model.eval(), tokenizer, images)


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Letters, and the words of the captions merged from them letter by letter."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in dict.fromkeys([*" ".join(TEMPLATES).replace("{", "").split(), *_WORDS]):
        if not word.isalpha():
            continue
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merges[(parts[0], parts[1])] = None
            parts = [parts[0] + parts[1], *parts[2:]]
            tokens.append(parts[0])
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, list(merges)


def write_grasps(folder: Path, instances: int = 4, each: int = 8, seed: int = 0) -> GraspSet:
    """A set of grasps about the parts of bottles and hammers, of both splits."""
    rng = np.random.default_rng(seed)
    grasps = GraspSet.open(folder, create=True)
    for split, count in ((TRAINING, instances), (VALIDATION, 2)):
        for category in CATEGORIES:
            names = [n for n in split_names(split) if n.startswith(f"{category}/")]
            for name in names[:count]:
                grasps.append(grasps_by_parts(name, each, rng), Provenance(seed=seed))
    return grasps


def grasps_by_parts(name: str, each: int, rng: np.random.Generator) -> Grasps:
    """Hands that pinch places on each part of an object of the library.

    Bottles stand and are taken from the side, hammers lie and are taken from above.
    """
    made = make_named(name)
    slope = 0.0 if made.category == "bottle" else np.pi / 2
    poses = [
        palm_pose(SCALE * place, slope, rng.uniform(0, 2 * np.pi))
        for part in made.parts
        for place in trimesh.sample.sample_surface(made.part(part), each, seed=rng)[0]
    ]
    joints = np.tile(PINCHING, (len(poses), 1)) + rng.normal(0, 0.03, (len(poses), 22))
    plane = (0.0, 0.0, 1.0, -SCALE * made.mesh.bounds[0, 2])
    return Grasps.of_object(name, SCALE, np.array(poses), joints, plane)


def palm_pose(place: np.ndarray, slope: float, azimuth: float) -> np.ndarray:
    """(4, 4) of a palm whose fingers point so far downwards (rad), pinching at a place (3,)."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("YZ", [np.pi / 2 + slope, 0.0]).as_matrix()
    pose[:3, :3] = Rotation.from_euler("z", azimuth).as_matrix() @ pose[:3, :3]
    pose[:3, 3] = place - pose[:3, :3] @ _PINCH
    return pose


def _pinching() -> tuple[np.ndarray, np.ndarray]:
    """Joints (22,) of fingers bent towards an opposed thumb, and (3,) between them in the palm."""
    hand = load_hand()
    angles = dict.fromkeys(hand.finger_joints, 0.0)
    for finger in ("FF", "MF", "RF", "LF"):
        angles |= {f"rh_{finger}J3": 0.95, f"rh_{finger}J2": 0.45, f"rh_{finger}J1": 0.75}
    angles |= {"rh_THJ5": 1.0, "rh_THJ4": 1.0, "rh_THJ2": -0.15}
    joints = np.array([angles[name] for name in hand.finger_joints])
    kinematics = HandKinematics(hand)
    links = kinematics.link_poses(torch.eye(4)[None], torch.as_tensor(joints[None]).float())[0]
    tips = links[[hand.link_index(name) for name in hand.distal_links]].numpy()
    tips = tips[:, :3, 3] + 0.018 * tips[:, :3, 2]
    return joints, (tips[:2].mean(axis=0) + tips[4]) / 2


PINCHING, _PINCH = _pinching()
