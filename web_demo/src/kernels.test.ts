/** The list of kernels is what the packages themselves register, and operations are told to call what they call. */

import { resolve } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { type Kernels, kernelsOf } from '../vite/kernels.ts';

describe('the list of kernels', () => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await kernelsOf(resolve(import.meta.dirname, '../node_modules/@tensorflow'));
  }, 120_000);

  it('knows what wasm lacks and cpu has', () => {
    expect(kernels.backends['cpu']).toContain('Einsum');
    expect(kernels.backends['wasm']).not.toContain('Einsum');
    expect(kernels.backends['wasm']).toContain('BatchMatMul');
  });

  it.each([
    ['MatMul', ['BatchMatMul']],
    ['BatchMatMulV2', ['BatchMatMul']],
    ['Einsum', ['Einsum']],
    ['_FusedConv2D', ['FusedConv2D']],
    ['Softmax', ['Softmax']],
    ['ResizeBilinear', ['ResizeBilinear']],
    ['Const', []],
    ['Abs', ['Abs']],
    ['ComplexAbs', ['Abs', 'ComplexAbs']],
    ['Zeros', []],
  ])('%s calls %j', (operation, called) => {
    expect(kernels.operations[operation]).toEqual(called);
  });

  it('looks into functions that are made of others', () => {
    expect(kernels.operations['RFFT']).toContain('FFT');
    expect(kernels.operations['MatrixBandPart']?.length).toBeGreaterThan(1);
  });

  it('has kernels on the cpu for every one that an operation calls', () => {
    const known = new Set(kernels.backends['cpu']);
    const unknown = Object.entries(kernels.operations).flatMap(([operation, names]) =>
      names.filter((name) => !known.has(name)).map((name) => `${operation}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});
