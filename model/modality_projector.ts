/**
 * Modality projector: squares of patches become one token each, by a pixel shuffle and one linear layer.
 *
 * Source: nanoVLM models/modality_projector.py at v0.1.
 */
import { linear } from "../shaders/linear.ts";
import { pixelShuffle } from "../shaders/pixel_shuffle.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import type { Parameter, Tensor } from "../shaders/runtime/tensor.ts";
import type { VLMConfig } from "./config.ts";
import type { ParameterStore } from "./module.ts";

/** Vision vectors -> language vectors. */
export class ModalityProjector {
  readonly #weight: Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig) {
    this.#weight = store.parameter("MP.proj.weight");
  }

  /** x (B, P, C vision) -> (B, P/f², C language), f32 as it joins the residual stream. */
  forward(rec: Recorder, x: Tensor): Tensor {
    const shuffled = pixelShuffle(rec, x, this.config.mp_pixel_shuffle_factor);
    rec.tap("MP.pixel_shuffle", shuffled); // (B, P/f², C·f²)
    return rec.tap("MP", linear(rec, shuffled, { weight: this.#weight, output: "f32" }));
  }
}
