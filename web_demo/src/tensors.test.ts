import { describe, expect, it } from 'vitest';

import { type HostTensor, concatenated, rows, sampleCount } from './tensors';

function float(shape: number[], ...values: number[]): HostTensor {
  return { dtype: 'float32', shape, values: Float32Array.from(values) };
}

describe('sampleCount', () => {
  it('is the first dimension that all agree on', () => {
    expect(
      sampleCount(
        new Map([
          ['a', float([2, 1], 1, 2)],
          ['b', float([2], 3, 4)],
        ]),
      ),
    ).toBe(2);
  });

  it('refuses tensors that disagree, scalars and nothing at all', () => {
    expect(() =>
      sampleCount(
        new Map([
          ['a', float([2], 1, 2)],
          ['b', float([1], 3)],
        ]),
      ),
    ).toThrow('a [2]; b [1]');
    expect(() => sampleCount(new Map([['a', float([], 1)]]))).toThrow('same number');
    expect(() => sampleCount(new Map())).toThrow('same number');
  });
});

describe('rows and concatenated', () => {
  it('give back the whole, whatever the cut', () => {
    const whole = float([3, 2], 1, 2, 3, 4, 5, 6);
    expect(concatenated([rows(whole, 0, 2), rows(whole, 2, 3)])).toEqual(whole);
  });

  it('refuse parts of another type or shape', () => {
    expect(() => concatenated([float([1, 2], 1, 2), float([1, 3], 1, 2, 3)])).toThrow(
      '[1, 2], another float32 [1, 3]',
    );
    expect(() => concatenated([])).toThrow('no batch');
  });
});
