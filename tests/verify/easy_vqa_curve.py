"""The losses of 200 training steps in PyTorch's nanoVLM v0.1, which tests/train_curve_test.ts trains again.

    python3 easy_vqa_curve.py NANOVLM_V0.1 GOLDEN/v01_a EASY_VQA/train-00000-of-00001.parquet OUT.json

needs torch, pillow, pyarrow and safetensors. Model, optimizer, schedule and collator are nanoVLM's own, in float32.
Step i trains on rows 16 i to 16 i + 15 of the file, the first question of each. The tokenizer is the golden files'
toy: a character is its code. Rows are 64 tokens long, for v01_a's 45 characters cut most questions off.
"""

import io
import json
import math
import sys
from pathlib import Path

import pyarrow.parquet
import torch
from PIL import Image

NANOVLM, GOLDEN, DATA, OUT = sys.argv[1:]
sys.path.insert(0, NANOVLM)
from data.collators import VQACollator  # noqa: E402
from models.vision_language_model import VisionLanguageModel  # noqa: E402

STEPS, BATCH, LENGTH, SEED = 200, 16, 64, 0
RATES = dict(projector=2e-3, backbones=1e-4)
EOS = "<|endoftext|>"


class ToyTokenizer:
    """As much of a Hugging Face tokenizer as the collator calls."""

    def encode(self, text, add_special_tokens=True):
        parts = text.split(EOS)
        ids = [ord(c) for c in parts[0]]
        for part in parts[1:]:
            ids += [0] + [ord(c) for c in part]
        return ids

    def batch_encode_plus(self, texts, max_length, **_):
        rows = [self.encode(text)[:max_length] for text in texts]
        padding = [max_length - len(row) for row in rows]
        return {
            "input_ids": torch.tensor([[0] * p + row for p, row in zip(padding, rows)]),
            "attention_mask": torch.tensor([[0] * p + [1] * len(row) for p, row in zip(padding, rows)]),
        }


def get_lr(step, highest):
    """get_lr of nanoVLM v0.1, train.py, which cannot be imported without wandb."""
    lowest, warmup = highest * 0.1, STEPS * 0.03
    if step < warmup:
        return highest * (step + 1) / warmup
    if step > STEPS:
        return lowest
    ratio = (step - warmup) / (STEPS - warmup)
    return lowest + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (highest - lowest)


def samples(side):
    """What VQADataset and get_image_processor make of each row; torchvision resizes pictures with Pillow."""
    for row in pyarrow.parquet.read_table(DATA).slice(0, STEPS * BATCH).to_pylist():
        picture = Image.open(io.BytesIO(row["images"][0]["bytes"])).convert("RGB")
        pixels = picture.resize((side, side), Image.BILINEAR).tobytes()
        image = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(side, side, 3).permute(2, 0, 1)
        text = row["texts"][0]
        yield {
            "image": image.float().div(255),
            "text_data": f"Question: {text['user']} Answer:",
            "answer": text["assistant"] + EOS,
        }


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model = VisionLanguageModel.from_pretrained(GOLDEN).train()
    groups = [
        {"params": model.MP.parameters(), "lr": RATES["projector"]},
        {"params": [*model.decoder.parameters(), *model.vision_encoder.parameters()], "lr": RATES["backbones"]},
    ]
    optimizer = torch.optim.AdamW(groups)
    collate = VQACollator(ToyTokenizer(), LENGTH)
    rows = list(samples(model.cfg.vit_img_size))
    losses = []
    for step in range(STEPS):
        batch = collate(rows[step * BATCH : (step + 1) * BATCH])
        optimizer.zero_grad()
        _, loss = model(batch["input_ids"], batch["image"], attention_mask=batch["attention_mask"], targets=batch["labels"])
        loss.backward()
        for group, rate in zip(optimizer.param_groups, RATES.values()):
            group["lr"] = get_lr(step, rate)
        optimizer.step()
        losses.append(round(loss.item(), 6))
    recipe = dict(rows_per_step=BATCH, tokens_per_row=LENGTH, rates=RATES, torch=torch.__version__)
    Path(OUT).write_text(json.dumps({"recipe": recipe, "loss": losses}) + "\n")


if __name__ == "__main__":
    main()
