"""nanoVLM v0.1's 222M model in PyTorch, with random weights: the baseline of compare.ts.

Written after the modules of nanoVLM v0.1 (models/*.py): same sizes, same operations, attention without repeated heads.
Prints JSON lines: what it runs on, then a training step's median time by batch, and greedy decoding's tokens a second;
CPU time is that of the process, for a step or a token.
"""

import argparse
import contextlib
import inspect
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

VIT = dict(width=768, blocks=12, heads=12, inner=3072, patch=16, side=224, eps=1e-6)
LM = dict(width=576, blocks=30, heads=9, kv_heads=3, inner=1536, vocabulary=49152, eps=1e-5, base=100000)
SHUFFLE = 2
IMAGE_TOKENS = (VIT["side"] // VIT["patch"] // SHUFFLE) ** 2  # 49


def attend(q, k, v, mask):
    """q (B, H, T, D), k and v (B, K, S, D), mask (T, S) added to the scores or None -> (B, T, H * D)."""
    B, H, T, D = q.shape
    K, S = k.shape[1:3]
    if hasattr(F, "scaled_dot_product_attention") and H == K:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(B, T, H * D)
    q = (q * D**-0.5).reshape(B, K, H // K * T, D)  # heads that share keys, side by side
    scores = q @ k.transpose(-2, -1)
    if mask is not None:
        scores = (scores.view(B, K, H // K, T, S) + mask).view(B, K, -1, S)
    y = torch.softmax(scores, -1, dtype=torch.float32).to(v.dtype) @ v
    return y.view(B, H, T, D).transpose(1, 2).reshape(B, T, H * D)


class VisionBlock(nn.Module):
    def __init__(self):
        super().__init__()
        C, inner = VIT["width"], VIT["inner"]
        self.ln1, self.ln2 = nn.LayerNorm(C, VIT["eps"]), nn.LayerNorm(C, VIT["eps"])
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc1, self.fc2 = nn.Linear(C, inner), nn.Linear(inner, C)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, VIT["heads"], -1).permute(2, 0, 3, 1, 4)
        x = x + self.out(attend(q, k, v, None))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate="tanh"))


class VisionEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        C, patch = VIT["width"], VIT["patch"]
        self.conv = nn.Conv2d(3, C, patch, patch)
        self.position = nn.Parameter(torch.rand(1, (VIT["side"] // patch) ** 2, C))
        self.blocks = nn.Sequential(*(VisionBlock() for _ in range(VIT["blocks"])))
        self.norm = nn.LayerNorm(C, VIT["eps"])

    def forward(self, images):
        x = self.conv(images).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.blocks(x))


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(LM["width"]))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + LM["eps"]) * self.weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class LanguageBlock(nn.Module):
    def __init__(self):
        super().__init__()
        C, inner = LM["width"], LM["inner"]
        kv = C // LM["heads"] * LM["kv_heads"]
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.q, self.k, self.v, self.out = linear(C, C), linear(C, kv), linear(C, kv), linear(C, C)
        self.gate, self.up, self.down = linear(C, inner), linear(C, inner), linear(inner, C)
        self.norm1, self.norm2 = RMSNorm(), RMSNorm()

    def forward(self, x, cos, sin, mask, cache=None, start=0):
        B, T, C = x.shape
        D = C // LM["heads"]
        normed = self.norm1(x)
        q, k, v = (w(normed).view(B, T, -1, D).transpose(1, 2) for w in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            end = start + T
            cache[0][:, :, start:end], cache[1][:, :, start:end] = k, v
            k, v = cache[0][:, :, :end], cache[1][:, :, :end]
        x = x + self.out(attend(q, k, v, mask))
        normed = self.norm2(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class VisionLanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision = VisionEncoder()
        self.projector = nn.Linear(VIT["width"] * SHUFFLE**2, LM["width"], bias=False)
        self.embedding = nn.Embedding(LM["vocabulary"], LM["width"])
        self.blocks = nn.ModuleList(LanguageBlock() for _ in range(LM["blocks"]))
        self.norm = RMSNorm()
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and "position" not in name:
                nn.init.normal_(parameter, std=0.02)

    def embed(self, images, ids):
        """(B, 3, S, S), (B, T) -> (B, 49 + T, C): the image in front of the text."""
        x = self.vision(images)
        B, P, C = x.shape
        n = int(P**0.5) // SHUFFLE
        x = x.view(B, n, SHUFFLE, n, SHUFFLE, C).permute(0, 1, 3, 2, 4, 5).reshape(B, n * n, -1)
        return torch.cat((self.projector(x), self.embedding(ids)), 1)

    def rotary(self, start, end):
        D = LM["width"] // LM["heads"]
        device = self.norm.weight.device
        frequencies = LM["base"] ** (-torch.arange(0, D, 2, device=device) / D)
        angles = torch.arange(start, end, device=device).float()[:, None] * frequencies
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()

    def decode(self, x, rotary, caches=None, start=0):
        """(B, T, C) -> (B, T, C); `rotary` holds the positions from `start` on."""
        T = x.shape[1]
        mask = None
        if T > 1:
            mask = torch.full((T, T), float("-inf"), device=x.device).triu(1)
        for i, block in enumerate(self.blocks):
            x = block(x, *rotary, mask, caches and caches[i], start)
        return self.norm(x)

    def loss(self, images, ids, labels):
        x = self.embed(images, ids)
        x = self.decode(x, self.rotary(0, x.shape[1]))
        logits = F.linear(x, self.embedding.weight)[:, IMAGE_TOKENS:]  # all rows first, as nanoVLM does
        return F.cross_entropy(logits.reshape(-1, LM["vocabulary"]).float(), labels.reshape(-1))


def optimizer_of(model, device):
    """AdamW in the fastest form: fused or for all tensors at once on a GPU, tensor by tensor on the processor."""
    known = inspect.signature(torch.optim.AdamW).parameters
    on_gpu = {"fused": True} if "fused" in known else {"foreach": True}
    fast = on_gpu if device == "cuda" else {"foreach": False}
    projector = list(model.projector.parameters())
    backbones = [p for name, p in model.named_parameters() if not name.startswith("projector")]
    return torch.optim.AdamW([{"params": projector, "lr": 2e-3}, {"params": backbones, "lr": 1e-4}], **fast)


def time_training(model, batch, arguments, autocast):
    device = arguments.device
    images = torch.rand(batch, 3, VIT["side"], VIT["side"], device=device)
    ids, labels = torch.randint(LM["vocabulary"], (2, batch, arguments.text_tokens), device=device)
    optimizer = optimizer_of(model, device)
    scaler = torch.cuda.amp.GradScaler(enabled=arguments.dtype == "f16")

    def step():
        with autocast():
            loss = model.loss(images, ids, labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    times, cpu_times = [], []
    for _ in range(1 + arguments.steps):
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    return {"ms": 1000 * statistics.median(times[1:]), "cpu_ms": 1000 * statistics.median(cpu_times[1:])}


@torch.inference_mode()
def time_decoding(model, arguments, autocast):
    """Tokens a second behind an image and a question, from the second one on, and CPU time of each."""
    device, tokens = arguments.device, arguments.tokens
    images = torch.rand(1, 3, VIT["side"], VIT["side"], device=device)
    ids = torch.randint(LM["vocabulary"], (1, arguments.text_tokens), device=device)
    prompt = IMAGE_TOKENS + arguments.text_tokens
    shape = (2, 1, LM["kv_heads"], prompt + tokens, LM["width"] // LM["heads"])
    kind = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[arguments.dtype]
    caches = [torch.empty(shape, device=device, dtype=kind) for _ in range(LM["blocks"])]
    cos, sin = model.rotary(0, prompt + tokens)
    with autocast():
        x = model.decode(model.embed(images, ids), (cos[:prompt], sin[:prompt]), caches)
        token = F.linear(x[:, -1], model.embedding.weight).argmax(-1)
        answer = [token.item()]
        start, cpu_start = time.perf_counter(), time.process_time()
        for position in range(prompt, prompt + tokens - 1):
            rotary = cos[position : position + 1], sin[position : position + 1]
            x = model.decode(model.embedding(token)[:, None], rotary, caches, position)
            token = F.linear(x[:, -1], model.embedding.weight).argmax(-1)
            answer.append(token.item())
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {"tokens_per_second": (tokens - 1) / seconds, "cpu_ms": 1000 * cpu_seconds / (tokens - 1)}


def matmul_rate(device):
    """GFLOP/s of a product of 1024 x 1024 matrices: tells an optimized BLAS from a plain one."""
    a, b = torch.rand(2, 1024, 1024, device=device)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - start)
    return 2 * 1024**3 / statistics.median(times[2:]) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="f32", choices=["f32", "f16", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", default="1,2", help="batches of the training step, with commas between")
    parser.add_argument("--steps", type=int, default=4, help="timed training steps")
    parser.add_argument("--text-tokens", type=int, default=79)
    parser.add_argument("--tokens", type=int, default=33, help="tokens to decode")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = arguments.device
    autocast = contextlib.nullcontext
    if arguments.dtype != "f32":
        kind = {"f16": torch.float16, "bf16": torch.bfloat16}[arguments.dtype]
        autocast = lambda: torch.autocast(device, kind)
    model = VisionLanguageModel().to(device)
    print(json.dumps({
        "pytorch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "matmul_gflops": matmul_rate(device),
    }), flush=True)
    for batch in map(int, arguments.batch.split(",")):
        figures = time_training(model, batch, arguments, autocast)
        print(json.dumps({"workload": f"train_batch_{batch}", **figures}), flush=True)
    print(json.dumps({"workload": "decode", **time_decoding(model, arguments, autocast)}), flush=True)


if __name__ == "__main__":
    main()
