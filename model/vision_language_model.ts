/**
 * The whole model: vision encoder, modality projector and language model; made from scratch, from pretrained backbones
 * or from a checkpoint, and written back.
 *
 * Source: nanoVLM models/vision_language_model.py at v0.1.
 */
import { embedding } from "../shaders/embedding.ts";
import { linearCrossEntropy, type Loss } from "../shaders/linear_cross_entropy.ts";
import { type Device, DeviceError } from "../shaders/runtime/device.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { type Activation, slice, type Tensor } from "../shaders/runtime/tensor.ts";
import { scatterRows } from "../shaders/scatter_rows.ts";
import type { Backbone } from "./backbones.ts";
import { expectedParameters, openCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import type { Part, VLMConfig } from "./config.ts";
import { initialValues, normalGenerator, uniformGenerator } from "./initialization.ts";
import type { BatchInputs } from "./inputs.ts";
import { LanguageModel } from "./language_model.ts";
import { ModalityProjector } from "./modality_projector.ts";
import { ParameterStore } from "./module.ts";
import { ReadAhead } from "./read_ahead.ts";
import type { Checksums } from "./saved_files.ts";
import { ViT } from "./vision_transformer.ts";

/** How to make a model. */
export interface ModelOptions {
  /** Whether to make gradients; false by default. */
  readonly training?: boolean;
  /** Parts that do not train; none when absent. */
  readonly frozen?: readonly Part[];
  /** "f16" for mixed precision, where the device has it; "f32" by default. */
  readonly dtype?: Activation;
}

/** How to take the loss. */
export interface LossOptions {
  /** Labels that there is room for; the inputs' when absent. */
  readonly capacity?: number;
  /** Multiplies the gradients, see LossScaler. */
  readonly lossScale?: Tensor | undefined;
}

/** A model on a device. */
export class VisionLanguageModel implements Disposable {
  readonly store: ParameterStore;
  readonly vision_encoder: ViT;
  readonly MP: ModalityProjector;
  readonly decoder: LanguageModel;
  /** Those of the file that the weights came from, for the file that they go to. */
  #frequencies: Float32Array | undefined;

  /**
   * All parameters zero; see the static functions.
   *
   * @throws {DeviceError} where the device cannot hold it, or is asked for f16 and has none.
   */
  constructor(
    readonly device: Device,
    readonly config: VLMConfig,
    { training = false, frozen = [], dtype = "f32" }: ModelOptions = {},
  ) {
    if (dtype === "f16" && !device.f16) {
      throw new DeviceError(
        `Cannot make a model in f16: ${device.description} has no shader-f16, expected a GPU that has; use --dtype f32`,
      );
    }
    this.store = new ParameterStore(device, expectedParameters(config), {
      training,
      frozen,
      dtype,
    });
    this.vision_encoder = new ViT(this.store, config);
    this.MP = new ModalityProjector(this.store, config);
    this.decoder = new LanguageModel(this.store, config);
  }

  /**
   * A model with random weights, except those that `backbones` bring.
   *
   * @throws {DeviceError} where the device cannot hold it.
   */
  static async fromScratch(
    device: Device,
    config: VLMConfig,
    options: ModelOptions & {
      seed: number;
      initialization: "nanovlm" | "fan_in";
      backbones?: readonly Backbone[];
    },
  ): Promise<VisionLanguageModel> {
    const random = {
      normal: normalGenerator(options.seed),
      uniform: uniformGenerator(options.seed),
    };
    const model = await VisionLanguageModel.#make(device, config, options);
    for (const parameter of model.store.shapes) {
      const backbone = options.backbones?.find(({ names }) => names.includes(parameter.name));
      const data = backbone?.load(parameter.name) ??
        initialValues(parameter, options.initialization, random);
      model.store.upload(parameter.name, data);
    }
    return model;
  }

  /**
   * Loads a folder that nanoVLM or `savePretrained` wrote.
   *
   * @throws {CheckpointError} where tensors are missing, unexpected or misshapen, or a file is damaged.
   * @throws {TypeError} {RangeError} {SyntaxError} where the configuration is wrong.
   * @throws {DeviceError} where the device cannot hold it.
   */
  static async fromPretrained(
    device: Device,
    dir: string,
    options: ModelOptions = {},
  ): Promise<VisionLanguageModel> {
    using checkpoint = openCheckpoint(dir);
    const model = await VisionLanguageModel.#make(device, checkpoint.config, options);
    for (const { name } of model.store.shapes) model.store.upload(name, checkpoint.load(name));
    model.#frequencies = checkpoint.frequencies;
    await device.idle();
    return model;
  }

  /** What products and saved activations are kept in; recorders of this model take it. */
  get dtype(): Activation {
    return this.store.options.dtype;
  }

  static #make(device: Device, config: VLMConfig, options: ModelOptions) {
    const what =
      `make a model of ${config.lm_hidden_dim} x ${config.lm_n_blocks} on ${device.description}`;
    return device.scoped(what, () => new VisionLanguageModel(device, config, options));
  }

  /** Writes config.json and model.safetensors, as nanoVLM's save_pretrained does. */
  savePretrained(dir: string): Promise<Checksums> {
    const frequencies = this.#frequencies;
    const tensors = this.store.shapes.map(({ name }) =>
      [name, this.store.parameter(name).value] as const
    );
    const ahead = new ReadAhead(this.device, new Map(tensors));
    return saveCheckpoint(dir, this.config, (name) => ahead.load(name), { frequencies });
  }

  /** Records images and text up to the last norm: -> (B, L, C). */
  forward(rec: Recorder, inputs: BatchInputs): Tensor {
    const { size } = inputs.shape;
    const position = rec.constant("position 0", [1], "u32", new Uint32Array(1));
    const x = this.embed(rec, inputs, position).view(
      size,
      inputs.length,
      this.config.lm_hidden_dim,
    ); // (B, L, C)
    const rotary = this.decoder.rotary(rec, inputs.length);
    return this.decoder.forward(rec, x, { mask: inputs.mask, position, ...rotary });
  }

  /** Records the language model's inputs: token embeddings with the images in their places, (B·L, C). */
  embed(rec: Recorder, inputs: BatchInputs, position: Tensor): Tensor {
    const pictures = this.MP.forward(
      rec,
      this.vision_encoder.forward(rec, inputs.images, position),
    );
    const text = embedding(rec, inputs.ids, this.decoder.tokenEmbedding);
    const flat = pictures.view(inputs.imageRows.length, pictures.dim(-1));
    return rec.tap("inputs_embeds", scatterRows(rec, text, flat, inputs.imageRows));
  }

  /**
   * Records the mean loss over the labels of a batch, and each token's. There is room for `capacity` labels; `lossScale`
   * multiplies the gradients.
   */
  loss(
    rec: Recorder,
    inputs: BatchInputs,
    { capacity = inputs.shape.labels, lossScale }: LossOptions = {},
  ): Loss {
    const { count } = inputs;
    const rows = slice(inputs.labelRows, 0, [capacity]);
    const labels = slice(inputs.labels, 0, [capacity]);
    const hidden = this.forward(rec, inputs);
    return linearCrossEntropy(rec, hidden, this.decoder.head, { rows, labels, count, lossScale });
  }

  /** Frees the model's memory. */
  destroy(): void {
    this.store.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
