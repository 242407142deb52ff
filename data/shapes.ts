/**
 * A built-in dataset of drawn shapes with short questions: trains and tests a small model without
 * any file. One coloured shape on a grey background; datasets.ts serves it under the name "shapes".
 *
 * Made here, after the idea of easy-VQA (one shape, questions on shape, colour and presence).
 */
import type { Dataset, Row, Split, Turn } from "./dataset.ts";
import { Random } from "./random.ts";
import type { RgbImage } from "./rgb_image.ts";

/** Pixels per side of a drawn picture. */
export const SHAPES_IMAGE_SIZE = 32;

/** Rows of the parts, unless asked otherwise. */
export const SHAPES_ROWS = { train: 20_000, validation: 500, test: 500 } as const;

const SHAPES = ["circle", "square", "triangle", "cross"] as const;
const POSITIONS = ["top left", "top right", "bottom left", "bottom right"] as const;
const COLORS = ["red", "green", "blue", "yellow", "purple", "cyan"] as const;

type Shape = typeof SHAPES[number];
type Position = typeof POSITIONS[number];
type Color = typeof COLORS[number];

/** Clearly apart from each other and from every grey, also after a change of 15 per channel. */
const RGB: Readonly<Record<Color, readonly [number, number, number]>> = {
  red: [220, 40, 40],
  green: [40, 165, 50],
  blue: [40, 70, 225],
  yellow: [235, 215, 40],
  purple: [150, 45, 185],
  cyan: [50, 205, 215],
};

/** Everything that is asked about a picture, and where its shape lies (in pixels). */
interface Scene {
  shape: Shape;
  color: Color;
  position: Position;
  centerX: number;
  centerY: number;
  /** Half of the shape's width. */
  radius: number;
}

function pick<T>(choices: readonly T[], random: Random): T {
  const choice = choices[random.below(choices.length)];
  if (choice === undefined) throw new RangeError("Cannot pick: found no choices, expected some");
  return choice;
}

/** The shape lies wholly within the picture, its centre at least 6 pixels off the middle lines. */
function drawScene(random: Random): Scene {
  const radius = random.between(5.5, 7.5);
  const near = () => random.between(radius + 0.5, 10);
  const far = () => SHAPES_IMAGE_SIZE - near();
  const position = pick(POSITIONS, random);
  return {
    shape: pick(SHAPES, random),
    color: pick(COLORS, random),
    position,
    centerX: position.endsWith("left") ? near() : far(),
    centerY: position.startsWith("top") ? near() : far(),
    radius,
  };
}

/** Whether a point, in radii from the centre (x right, y down), is inside the shape. */
function isInside(shape: Shape, x: number, y: number): boolean {
  if (Math.abs(x) > 1 || Math.abs(y) > 1) return false;
  switch (shape) {
    case "circle":
      return x * x + y * y <= 1;
    case "square":
      return Math.max(Math.abs(x), Math.abs(y)) <= 0.88;
    case "triangle":
      return Math.abs(x) <= (y + 1) / 2;
    case "cross":
      return Math.min(Math.abs(x), Math.abs(y)) <= 0.32;
  }
}

/** The share of a pixel that the shape covers, from 4 x 4 points. */
function coverage(scene: Scene, x: number, y: number): number {
  let inside = 0;
  for (let i = 0; i < 16; i++) {
    const pointX = (x + ((i & 3) + 0.5) / 4 - scene.centerX) / scene.radius;
    const pointY = (y + ((i >> 2) + 0.5) / 4 - scene.centerY) / scene.radius;
    if (isInside(scene.shape, pointX, pointY)) inside++;
  }
  return inside / 16;
}

/** A light grey, not quite even, and the shape on it. */
function paint(scene: Scene, random: Random): RgbImage {
  const size = SHAPES_IMAGE_SIZE;
  const background = random.between(215, 245);
  const color = RGB[scene.color].map((value) => value + random.between(-15, 15));
  const data = new Uint8Array(size * size * 3); // (height, width, 3)
  for (let y = 0, to = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const grey = background + random.between(-8, 8);
      const share = coverage(scene, x, y);
      for (let c = 0; c < 3; c++) {
        const mixed = share * (color[c] ?? 0) + (1 - share) * grey;
        data[to++] = Math.round(Math.min(255, Math.max(0, mixed)));
      }
    }
  }
  return { width: size, height: size, data };
}

/** A yes/no question whose answer is "yes" half of the time. */
function askYesNo(scene: Scene, random: Random): Turn {
  const yes = random.below(2) === 1;
  const aboutColor = random.below(2) === 1;
  const truth: string = aboutColor ? scene.color : scene.shape;
  const all: readonly string[] = aboutColor ? COLORS : SHAPES;
  const asked = yes ? truth : pick(all.filter((other) => other !== truth), random);
  const question = aboutColor ? `Is it ${asked}?` : `Is it a ${asked}?`;
  return { question, answer: yes ? "yes" : "no", category: "yes/no" };
}

function ask(scene: Scene, random: Random): Turn[] {
  return [
    { question: "What color?", answer: scene.color, category: "color" },
    { question: "What shape?", answer: scene.shape, category: "shape" },
    { question: "Where is it?", answer: scene.position, category: "position" },
    askYesNo(scene, random),
  ];
}

/** What of the shapes to generate. */
export interface ShapesOptions {
  /** Number of rows; 20,000 for training and 500 for validation unless given. */
  rows?: number;
  /** Another seed gives other pictures and questions. Default 0. */
  seed?: number;
}

/** By their places, which are keys of the generator. */
const PARTS: readonly Split[] = ["train", "validation", "test"];

/** The shapes dataset: a row is drawn anew each time it is asked for, always the same. */
export class Shapes implements Dataset {
  readonly format = "vqa";
  readonly name: string;
  readonly rows: number;
  readonly #seed: number;
  readonly #split: Split;

  /**
   * Sets up the generator; nothing is drawn yet.
   *
   * @throws {RangeError} when `rows` is not a whole number from 1 on
   */
  constructor(split: Split, options: ShapesOptions = {}) {
    this.rows = options.rows ?? SHAPES_ROWS[split];
    if (!Number.isInteger(this.rows) || this.rows < 1) {
      throw new RangeError(
        `Cannot make shapes: found "${this.rows}" rows, expected a whole number from 1 on`,
      );
    }
    this.name = `shapes (${split})`;
    this.#seed = options.seed ?? 0;
    this.#split = split;
  }

  /**
   * Draws one picture with four questions: its color, shape and position, and one of yes or no.
   *
   * @throws {RangeError} when there is no such row
   */
  row(index: number): Row {
    if (!Number.isInteger(index) || index < 0 || index >= this.rows) {
      throw new RangeError(
        `Cannot draw shapes: found row "${index}", expected a whole number from 0 to ${
          this.rows - 1
        }`,
      );
    }
    const { random, scene, turns } = this.#sketch(index);
    return { image: paint(scene, random), imageName: `${this.name}, row ${index}`, turns };
  }

  /** All of a row but its picture, and the random numbers that this goes on with. */
  #sketch(index: number): { random: Random; scene: Scene; turns: Turn[] } {
    // The parts never share a key, so never a picture.
    const random = new Random(this.#seed, PARTS.indexOf(this.#split), index);
    const scene = drawScene(random);
    return { random, scene, turns: ask(scene, random) };
  }

  /** Four questions for every row. */
  turnCounts(): Promise<Uint32Array> {
    return Promise.resolve(new Uint32Array(this.rows).fill(4));
  }

  async *allTurns(most: number = Infinity): AsyncGenerator<readonly Turn[]> {
    for (let row = 0; row < Math.min(this.rows, most); row++) yield this.#sketch(row).turns;
  }
}
