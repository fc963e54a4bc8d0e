/** The drawing pad: a canvas that turns a finger, a pen or a mouse into strokes, and can show a sample instead. */

import { BLOCKS, type Point, type Stroke } from './digitise';

const PEN_SHARE_OF_WIDTH = 0.075;

export class Pad {
  readonly #canvas: HTMLCanvasElement;
  readonly #changed: () => void;
  #strokes: Point[][] = [];
  #sample: ArrayLike<number> | null = null;
  #pointer: number | null = null;

  /** `changed` is called after every change that a person makes on the canvas. */
  constructor(canvas: HTMLCanvasElement, changed: () => void) {
    this.#canvas = canvas;
    this.#changed = changed;
    canvas.addEventListener('pointerdown', (event) => {
      this.#begin(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      this.#extend(event);
    });
    for (const end of ['pointerup', 'pointercancel'] as const) {
      canvas.addEventListener(end, () => {
        this.#pointer = null;
      });
    }
    new ResizeObserver(() => {
      this.paint();
    }).observe(canvas);
  }

  get strokes(): readonly Stroke[] {
    return this.#strokes;
  }

  clear(): void {
    this.#strokes = [];
    this.#sample = null;
    this.paint();
  }

  /** Shows a picture of 8 × 8 values in 0..1; the next stroke begins a new drawing. */
  show(sample: ArrayLike<number>): void {
    this.#strokes = [];
    this.#sample = sample;
    this.paint();
  }

  paint(): void {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (this.#canvas.width !== side) {
      this.#canvas.width = side;
      this.#canvas.height = side;
    }
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.clearRect(0, 0, side, side);
    const ink = getComputedStyle(this.#canvas).color;
    if (this.#sample !== null) paintBlocks(context, this.#sample, ink);
    context.strokeStyle = ink;
    context.lineWidth = side * PEN_SHARE_OF_WIDTH;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    for (const stroke of this.#strokes) {
      context.beginPath();
      for (const point of stroke) context.lineTo(point.x * side, point.y * side);
      // A dot is a line of no length, which is drawn only when it is closed.
      if (stroke.length === 1) context.closePath();
      context.stroke();
    }
  }

  #begin(event: PointerEvent): void {
    if (this.#pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#sample = null;
    this.#strokes.push([this.#at(event)]);
    this.#drawn();
  }

  #extend(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    const moves = event.getCoalescedEvents();
    this.#strokes.at(-1)?.push(...(moves.length > 0 ? moves : [event]).map((move) => this.#at(move)));
    this.#drawn();
  }

  #drawn(): void {
    this.paint();
    this.#changed();
  }

  /** In 0..1 of the pad's sides, so that turning a phone keeps the drawing. */
  #at(event: PointerEvent): Point {
    const box = this.#canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }
}

/** Paints 8 × 8 values in 0..1 over the whole canvas, 1 as full ink. */
export function paintBlocks(context: CanvasRenderingContext2D, values: ArrayLike<number>, ink: string): void {
  const { width, height } = context.canvas;
  context.fillStyle = ink;
  for (let block = 0; block < BLOCKS * BLOCKS; block++) {
    const column = block % BLOCKS;
    const row = Math.floor(block / BLOCKS);
    const left = Math.round((column * width) / BLOCKS);
    const top = Math.round((row * height) / BLOCKS);
    context.globalAlpha = values[block] ?? 0;
    context.fillRect(
      left,
      top,
      Math.round(((column + 1) * width) / BLOCKS) - left,
      Math.round(((row + 1) * height) / BLOCKS) - top,
    );
  }
  context.globalAlpha = 1;
}
