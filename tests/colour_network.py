"""A network without training that decides by whether an image has more red or blue."""

NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    look = nn.Conv2d(3, 6, 3, padding=1)
    head = nn.Linear(6, 8)
    with torch.no_grad():
        look.weight[:2] = 0
        look.bias[:2] = 0
        look.weight[0, [0, 2], 1, 1] = torch.tensor([1.0, -1.0])
        look.weight[1] = -look.weight[0]
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1, 0] = 1
        head.weight[0, 1] = 1
    return nn.Sequential(look, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
"""
SETTINGS = """
data:
  source: planted
  image_size: 16
  test_share: 0.5
  planted: {images: 1000, size: 16, predictivity: {colour: 0.8}}
network: {target: "own:network"}
train: {epochs: 0}
extract: {taps: ["1"]}
dictionary: {source: neurons}
machine: {device: cpu}
"""
