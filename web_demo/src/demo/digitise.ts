/**
 * Turns a drawing into the picture that the model was trained on.
 *
 * The UCI digits are 32 × 32 bitmaps whose ink was counted in blocks of 4 × 4. In all 1,797 of them the digit fills the
 * height, most are 24 pixels wide, and 30.5 % of the bitmap is ink, thick strokes for a thin digit included. A drawing
 * is therefore fitted into that box as lines, and inked with the pen that gives that share.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}
export type Stroke = readonly Point[];

export const BLOCKS = 8;
const BLOCK = 4;
const BITMAP = BLOCKS * BLOCK;
const BOX_WIDTH = 24;
const INK_SHARE = 0.305;
const THINNEST = 1.2;
const THICKEST = 5;
const PEN_TRIALS = 7;
// A dash has next to no height; stretched to the full one it would be noise.
const LARGEST_STRETCH = 2.5;
const CLOSEST = 0.4;

/** [8 × 8] in 0..1, row-major, or null when nothing is drawn. */
export function digitised(strokes: readonly Stroke[]): Float32Array | null {
  const drawn = strokes.filter((stroke) => stroke.length > 0);
  if (drawn.length === 0) return null;
  let thin = THINNEST;
  let thick = THICKEST;
  let bitmap = inked(drawn, thin);
  for (let trial = 0; trial < PEN_TRIALS; trial++) {
    const pen = (thin + thick) / 2;
    bitmap = inked(drawn, pen);
    if (inkShare(bitmap) > INK_SHARE) thick = pen;
    else thin = pen;
  }
  return blockCounts(bitmap);
}

function inkShare(bitmap: Uint8Array): number {
  return bitmap.reduce((sum, pixel) => sum + pixel, 0) / bitmap.length;
}

function blockCounts(bitmap: Uint8Array): Float32Array {
  const counts = new Float32Array(BLOCKS * BLOCKS);
  for (let y = 0; y < BITMAP; y++) {
    for (let x = 0; x < BITMAP; x++) {
      const block = Math.floor(y / BLOCK) * BLOCKS + Math.floor(x / BLOCK);
      counts[block] = (counts[block] ?? 0) + (bitmap[y * BITMAP + x] ?? 0) / BLOCK ** 2;
    }
  }
  return counts;
}

/** The bitmap, a byte a pixel, that a round pen of that radius leaves on the lines fitted into the box. */
function inked(strokes: readonly Stroke[], pen: number): Uint8Array {
  const bitmap = new Uint8Array(BITMAP * BITMAP);
  for (const stroke of fitted(strokes, pen)) {
    let from = stroke[0];
    for (const to of stroke) {
      if (from !== undefined) drawLine(bitmap, from, to, pen);
      from = to;
    }
  }
  return bitmap;
}

function fitted(strokes: readonly Stroke[], pen: number): Stroke[] {
  const points = strokes.flat();
  const left = Math.min(...points.map((point) => point.x));
  const right = Math.max(...points.map((point) => point.x));
  const top = Math.min(...points.map((point) => point.y));
  const bottom = Math.max(...points.map((point) => point.y));
  const full = { x: (BOX_WIDTH - 2 * pen) / (right - left), y: (BITMAP - 2 * pen) / (bottom - top) };
  // Never wider than drawn, but narrower where the box demands it, as the data is. Both are infinite for a dot.
  const scaleX = finite(Math.min(full.x, full.y));
  const scaleY = finite(Math.min(full.y, scaleX * LARGEST_STRETCH));
  const place = (point: Point): Point => ({
    x: BITMAP / 2 + (point.x - (left + right) / 2) * scaleX,
    y: BITMAP / 2 + (point.y - (top + bottom) / 2) * scaleY,
  });
  return strokes.map((stroke) => withoutCrowds(stroke.map(place)));
}

function finite(scale: number): number {
  return Number.isFinite(scale) ? scale : 1;
}

/** Leaves out points that are too close to the one before to matter: a slow hand gives hundreds of them. */
function withoutCrowds(stroke: Stroke): Stroke {
  const kept: Point[] = [];
  for (const point of stroke) {
    const last = kept.at(-1);
    if (last === undefined || Math.hypot(point.x - last.x, point.y - last.y) >= CLOSEST) kept.push(point);
  }
  return kept;
}

function drawLine(bitmap: Uint8Array, from: Point, to: Point, pen: number): void {
  const firstX = Math.max(0, Math.floor(Math.min(from.x, to.x) - pen));
  const lastX = Math.min(BITMAP - 1, Math.ceil(Math.max(from.x, to.x) + pen));
  const firstY = Math.max(0, Math.floor(Math.min(from.y, to.y) - pen));
  const lastY = Math.min(BITMAP - 1, Math.ceil(Math.max(from.y, to.y) + pen));
  for (let y = firstY; y <= lastY; y++) {
    for (let x = firstX; x <= lastX; x++) {
      if (distance({ x: x + 0.5, y: y + 0.5 }, from, to) <= pen) bitmap[y * BITMAP + x] = 1;
    }
  }
}

function distance(point: Point, from: Point, to: Point): number {
  const along = { x: to.x - from.x, y: to.y - from.y };
  const length = along.x ** 2 + along.y ** 2;
  const share = length === 0 ? 0 : ((point.x - from.x) * along.x + (point.y - from.y) * along.y) / length;
  const nearest = Math.min(1, Math.max(0, share));
  return Math.hypot(point.x - from.x - nearest * along.x, point.y - from.y - nearest * along.y);
}
