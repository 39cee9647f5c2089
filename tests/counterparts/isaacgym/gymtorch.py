"""Tensors of `gymapi` as PyTorch's, which share their memory."""

import torch

from isaacgym.gymapi import Tensor


def wrap_tensor(gym_tensor):
    assert isinstance(gym_tensor, Tensor)
    return torch.from_numpy(gym_tensor.data)


def unwrap_tensor(torch_tensor):
    if not torch_tensor.is_contiguous():
        raise RuntimeError("Input tensor must be contiguous")
    return Tensor(torch_tensor.numpy())
