/** A TF.js whose shader key is not the one that we mend is refused: answers would be wrong again, and nobody told. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { mendedKey } from '../vite/shader-key.ts';

const FILE = resolve(
  import.meta.dirname,
  '../node_modules/@tensorflow/tfjs-backend-webgl/dist/gpgpu_math.js',
);

describe('the key of a shader', () => {
  it('is mended in the TF.js that is installed, in one place', () => {
    const code = readFileSync(FILE, 'utf8');
    const mended = mendedKey(code);
    expect(mended).toContain('util.arraysEqual(uniformShape, xTexShape)');
    expect(mended.length - code.length).toBe('uniformShape'.length - 'x.shape'.length);
  });

  it.each(['', 'uniformShape.length === 2 && util.arraysEqual(x.shape, xTexShape);'.repeat(2)])(
    'is not guessed in another TF.js',
    (code) => {
      expect(() => mendedKey(code)).toThrow('instead of once');
    },
  );
});
