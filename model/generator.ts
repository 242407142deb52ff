/**
 * Answers: a prompt goes through the model once (prefill), then one token at a time (decode), with a KV cache.
 *
 * Both are recorded plans; the sampled token, its place and the position stay on the GPU, and the host reads several tokens
 * at a time. Plans are kept by batch and by prompt length, rounded up: what stands behind a prompt is hidden by causality
 * and overwritten by the answer. So rows of different lengths, padded on the right, answer as each alone would; padding on
 * the left, as nanoVLM's, moves the text away from the image.
 * Source: generate() of nanoVLM models/vision_language_model.py at v0.1. Differs from nanoVLM: it stops at the end token
 * and uses a cache; the tokens up to there are the same.
 */
import { embedding } from "../shaders/embedding.ts";
import { gatherRows } from "../shaders/gather_rows.ts";
import { matmul } from "../shaders/matmul.ts";
import { BufferPool } from "../shaders/runtime/memory.ts";
import { Plan } from "../shaders/runtime/plan.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { bufferOf, persistent, readAll, type Tensor } from "../shaders/runtime/tensor.ts";
import { advance, sample, type SampleTensors } from "../shaders/sample.ts";
import { BatchInputs, type HostBatch, imageTokens } from "./inputs.ts";
import { KVCache } from "./kv_cache.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** "greedy" takes the likeliest token; otherwise top-k, then top-p, then the temperature say what to draw from. */
export type SampleMode = SampleTensors["mode"];

/** How to generate. */
export interface GenerateOptions {
  /** Tokens at most, per row. */
  readonly maxNewTokens: number;
  readonly mode: SampleMode;
  /**
   * Where the random numbers start, 0 by default: those of each row, or of the first, from which the others' follow; greedy
   * decoding has none.
   */
  readonly seed?: number | readonly number[];
  /** Where a row ends; without it every row gets `maxNewTokens`. */
  readonly eosTokenId?: number;
  /**
   * Called with each row's new tokens as they come, and with the probability that the model gave to each, whatever was drawn
   * from; the end token is not among the tokens, but its probability is among theirs. It is -1 where the model gives NaN or
   * infinity instead of numbers.
   */
  readonly onTokens?: (
    tokens: readonly (readonly number[])[],
    probabilities: readonly (readonly number[])[],
  ) => void;
}

/** How sure a model is of an answer: the geometric mean of its tokens' probabilities, the end token's included. */
export function confidenceOf(probabilities: readonly number[]): number {
  const sum = probabilities.reduce((sum, probability) => sum + Math.log(probability), 0);
  return Math.exp(sum / probabilities.length);
}

/** Prompt and answer lengths are rounded up to these. */
const LENGTH_STEP = 16;
const CAPACITY_STEP = 64;
/** Tokens between two looks at the answer: the wait is 12 ms, and a token past the end is wasted work. */
const CHUNK = 4;

/** Between the seeds of neighbouring rows: far, so that no row draws as another one does for the next seed. */
const SEED_STEP = 0x9e3779b9;

interface Session {
  readonly inputs: BatchInputs;
  readonly cache: KVCache;
  /** u32 (B): the row of each sequence whose next token is wanted. */
  readonly lastRows: Tensor;
  /** u32 (B): the newest tokens. */
  readonly next: Tensor;
  /** u32 (capacity, B): all new tokens. */
  readonly history: Tensor;
  /** (capacity, B): their probabilities. */
  readonly probabilities: Tensor;
  /** u32 [1]: how many rows of it are filled. */
  readonly filled: Tensor;
  /** u32 (B). */
  readonly seed: Tensor;
  readonly prefill: Plan;
  readonly decode: Plan;
}

/** Generates answers. Destroy it, or declare it with `using`. */
export class Generator implements Disposable {
  readonly #pool: BufferPool = new BufferPool();
  readonly #recorded: Session[] = [];
  readonly #sessions: Map<string, Promise<Session>> = new Map();
  /** Ends with the newest call. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly model: VisionLanguageModel) {}

  /**
   * The new tokens of each row, up to and without the end token. Calls at once wait for each other, for they share a cache.
   *
   * @throws {RangeError} where prompt and answer are longer than the model's context.
   * @throws {DeviceError} {ShaderError}
   */
  generate(batch: HostBatch, options: GenerateOptions): Promise<number[][]> {
    const answers = this.#last.then(() => this.#generate(batch, options));
    this.#last = answers.catch(() => {}); // who asked hears of it; the next call goes on
    return answers;
  }

  async #generate(batch: HostBatch, options: GenerateOptions): Promise<number[][]> {
    const { maxNewTokens, eosTokenId } = options;
    const length = imageTokens(this.model.config) + batch.length;
    this.#checkLength(length, maxNewTokens);
    const session = await this.#sessionFor(batch, options);
    this.#start(session, batch, options.seed ?? 0);
    const answers: number[][] = Array.from({ length: batch.size }, () => []);
    const ended = answers.map(() => false);
    session.prefill.run();
    let made = 1;
    for (let seen = 0; seen < maxNewTokens && !ended.every(Boolean); seen = made) {
      if (seen > 0) {
        made = Math.min(seen + CHUNK, maxNewTokens);
        for (let i = seen; i < made; i++) session.decode.run();
      }
      const [history, probabilities] = await readAll(this.model.device, [
        session.history,
        session.probabilities,
      ]);
      const sure: number[][] = answers.map(() => []);
      const fresh = answers.map((answer, b) => {
        const first = answer.length;
        for (let i = seen; i < made && !ended[b]; i++) {
          const at = i * batch.size + b;
          const token = history?.[at] ?? 0;
          sure[b]?.push(probabilities?.[at] ?? -1);
          if (token === eosTokenId) ended[b] = true;
          else answer.push(token);
        }
        return answer.slice(first);
      });
      options.onTokens?.(fresh, sure);
    }
    return answers;
  }

  #checkLength(length: number, maxNewTokens: number): void {
    if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
      throw new RangeError(
        `Cannot generate ${maxNewTokens} tokens: expected a whole number of at least 1`,
      );
    }
    const context = this.model.config.lm_max_position_embeddings;
    if (length + maxNewTokens <= context) return;
    throw new RangeError(
      `Cannot generate: image and question take ${length} tokens and the answer up to ${maxNewTokens}, ` +
        `expected at most ${context} together; shorten the question`,
    );
  }

  #sessionFor(batch: HostBatch, { maxNewTokens, mode }: GenerateOptions): Promise<Session> {
    const { config } = this.model;
    const length = Math.ceil(batch.length / LENGTH_STEP) * LENGTH_STEP;
    const needed = imageTokens(config) + length + maxNewTokens;
    const capacity = Math.ceil(needed / CAPACITY_STEP) * CAPACITY_STEP;
    const key = JSON.stringify([batch.size, length, capacity, mode]);
    let session = this.#sessions.get(key);
    if (!session) {
      session = this.#record({ size: batch.size, length, capacity, mode });
      this.#sessions.set(key, session);
    }
    return session;
  }

  #start(session: Session, batch: HostBatch, seed: number | readonly number[]): void {
    const { device, config } = this.model;
    const { inputs, cache, lastRows } = session;
    const { length } = inputs.shape;
    const image = imageTokens(config);
    const ends = promptEnds(batch).map((end) => image + end);
    const { labels: _, ...unlabelled } = batch;
    inputs.upload({
      ...unlabelled,
      length,
      inputIds: widened(batch, batch.inputIds, length),
      attentionMask: widened(batch, batch.attentionMask, length),
    });
    const mask = new Uint32Array(cache.mask.length).fill(1);
    batch.attentionMask.forEach((visible, i) => {
      const [b, position] = [Math.floor(i / batch.length), image + i % batch.length];
      mask[b * cache.capacity + position] = Number(visible !== 0 || position >= (ends[b] ?? 0));
    });
    cache.mask.upload(device, mask);
    cache.position.upload(device, Uint32Array.from(ends));
    lastRows.upload(device, Uint32Array.from(ends, (end, b) => b * inputs.length + end - 1));
    session.filled.upload(device, Uint32Array.of(0));
    const seedOf = (b: number) => typeof seed === "number" ? seed + b * SEED_STEP : seed[b] ?? 0;
    session.seed.upload(device, Uint32Array.from(ends, (_, b) => seedOf(b) >>> 0));
  }

  async #record(
    shape: { size: number; length: number; capacity: number; mode: SampleMode },
  ): Promise<Session> {
    const { device, config } = this.model;
    const { size, length, capacity } = shape;
    const u32 = (label: string, dims: number[]) => persistent(device, label, dims, "u32");
    const state = await device.scoped("make the memory for an answer", () => ({
      inputs: new BatchInputs(device, config, { size, length, labels: 1 }),
      cache: new KVCache(this.model, size, capacity),
      lastRows: u32("last rows", [size]),
      next: u32("next tokens", [size]),
      history: u32("new tokens", [capacity, size]),
      probabilities: persistent(device, "their probabilities", [capacity, size]),
      filled: u32("new tokens count", [1]),
      seed: u32("seeds", [size]),
    }));
    const options = { activation: this.model.dtype, pool: this.#pool };
    const record = (build: (rec: Recorder) => void) => Plan.record(device, build, options);
    const prefill = await record((rec) => this.#prefill(rec, state, shape.mode));
    const decode = await record((rec) => this.#decode(rec, state, shape.mode));
    const session = { ...state, prefill, decode };
    this.#recorded.push(session);
    return session;
  }

  #prefill(rec: Recorder, state: Omit<Session, "prefill" | "decode">, mode: SampleMode): void {
    const { model } = this;
    const { inputs, cache } = state;
    const position = rec.constant("position 0", [1], "u32", new Uint32Array(1));
    const x = model.embed(rec, inputs, position)
      .view(inputs.shape.size, inputs.length, model.config.lm_hidden_dim); // (B, L, C)
    const rotary = this.#rotary(rec, cache);
    const context = { mask: cache.mask, position, ...rotary, caches: cache.blocks };
    const hidden = model.decoder.forward(rec, x, context);
    this.#sample(rec, gatherRows(rec, hidden, state.lastRows), state, mode);
  }

  #decode(rec: Recorder, state: Omit<Session, "prefill" | "decode">, mode: SampleMode): void {
    const { decoder, config } = this.model;
    const { cache, next } = state;
    const x = embedding(rec, next, decoder.tokenEmbedding)
      .view(cache.batch, 1, config.lm_hidden_dim); // (B, 1, C)
    const { mask, position, blocks: caches } = cache;
    const rotary = this.#rotary(rec, cache);
    const hidden = decoder.forward(rec, x, { mask, position, ...rotary, caches });
    this.#sample(rec, hidden.view(cache.batch, config.lm_hidden_dim), state, mode);
    advance(rec, position);
  }

  /** Rotary tables for the whole cache, unscaled: sequences fit the context, though the rounded capacity may not. */
  #rotary(rec: Recorder, { capacity }: KVCache): { cos: Tensor; sin: Tensor } {
    return this.model.decoder.rotary(rec, capacity, capacity);
  }

  /** Head and sampling for the rows x (B, C). */
  #sample(
    rec: Recorder,
    x: Tensor,
    state: Omit<Session, "prefill" | "decode">,
    mode: SampleMode,
  ): void {
    const { next, history, probabilities, filled, seed } = state;
    const weight = rec.weight(this.model.decoder.head);
    const [rows, columns, depth] = [x.dim(0), weight.dim(0), weight.dim(1)];
    const logits = rec.tensor("logits", [rows, columns]);
    matmul(rec, { lhs: x, rhs: weight, y: logits, rows, columns, depth, transposeRhs: true });
    sample(rec, { logits, next, history, probabilities, position: filled, mode, seed });
    advance(rec, filled);
  }

  /** Frees plans and caches. */
  destroy(): void {
    this.#sessions.clear();
    for (const { inputs, cache, prefill, decode, ...tensors } of this.#recorded.splice(0)) {
      for (const part of [inputs, cache, prefill, decode]) part.destroy();
      for (const tensor of Object.values(tensors)) bufferOf(tensor).destroy();
    }
    this.#pool.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Tokens of each row up to its last one that is no padding; all of them where everything is. */
function promptEnds({ size, length, attentionMask }: HostBatch): number[] {
  return Array.from({ length: size }, (_, b) => {
    const last = attentionMask.subarray(b * length, (b + 1) * length).findLastIndex((visible) =>
      visible !== 0
    );
    return last < 0 ? length : last + 1;
  });
}

/** Rows of `batch.length` values as rows of `length`, zeros behind them. */
function widened(batch: HostBatch, values: Int32Array, length: number): Int32Array {
  const rows = new Int32Array(batch.size * length);
  for (let b = 0; b < batch.size; b++) {
    rows.set(values.subarray(b * batch.length, (b + 1) * batch.length), b * length);
  }
  return rows;
}
