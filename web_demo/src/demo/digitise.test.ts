import { describe, expect, it } from 'vitest';

import { BLOCKS, type Stroke, digitised } from './digitise';

const ZERO: Stroke = Array.from({ length: 40 }, (_, step) => ({
  x: 0.5 + 0.2 * Math.cos((step / 39) * 2 * Math.PI),
  y: 0.5 + 0.3 * Math.sin((step / 39) * 2 * Math.PI),
}));

function image(strokes: readonly Stroke[]): number[] {
  return [...(digitised(strokes) ?? [])];
}

function row(picture: readonly number[], index: number): number[] {
  return picture.slice(index * BLOCKS, (index + 1) * BLOCKS);
}

function ink(picture: readonly number[]): number {
  return picture.reduce((sum, value) => sum + value, 0) / picture.length;
}

describe('digitised', () => {
  it('is nothing for an empty pad', () => {
    expect(digitised([])).toBeNull();
    expect(digitised([[]])).toBeNull();
  });

  it('gives levels of a sixteenth, as the data has', () => {
    for (const value of image([ZERO])) expect(value * 16).toBe(Math.round(value * 16));
  });

  it('fills the height and leaves the outer columns free', () => {
    const picture = image([ZERO]);
    expect(Math.max(...row(picture, 0))).toBeGreaterThan(0.5);
    expect(Math.max(...row(picture, BLOCKS - 1))).toBeGreaterThan(0.5);
    for (let y = 0; y < BLOCKS; y++) {
      expect(row(picture, y)[0]).toBe(0);
      expect(row(picture, y)[BLOCKS - 1]).toBe(0);
    }
  });

  it('uses the share of ink that the data has', () => {
    expect(ink(image([ZERO]))).toBeCloseTo(0.305, 1);
  });

  it('does not depend on where and how large the digit is drawn', () => {
    const small = ZERO.map(({ x, y }) => ({ x: 0.1 + x / 8, y: 0.7 + y / 8 }));
    expect(image([small])).toEqual(image([ZERO]));
  });

  it('keeps a line upright and in the middle', () => {
    const picture = image([
      [
        { x: 0.2, y: 0.2 },
        { x: 0.2, y: 0.9 },
      ],
    ]);
    for (let y = 0; y < BLOCKS; y++) {
      const levels = row(picture, y);
      expect(levels[3]).toBeGreaterThan(0.5);
      expect(levels).toEqual(levels.slice().reverse());
    }
  });

  it('takes a dot, and strokes in any order', () => {
    expect(Math.max(...image([[{ x: 0.5, y: 0.5 }]]))).toBe(1);
    const [first, second] = [ZERO.slice(0, 20), ZERO.slice(19)];
    expect(image([second, first])).toEqual(image([first, second]));
  });
});
