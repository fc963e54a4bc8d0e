/**
 * Vite plugin: mends the key under which TF.js's WebGL backend keeps compiled shaders, where shapes are uniforms.
 *
 * A matrix is read directly where its shape is its texture's, and by index elsewhere. The shader is written for the shape
 * without its leading 1, and the key compares the shape with it (tensorflow/tfjs issue 6478): [1, 49, 192] in a texture of
 * [49, 192] and [1, 7, 2048] in one of [120, 120] have one key, so that the second is answered by the first one's shader.
 */

import type { Plugin } from 'vite';

const FILE = /tfjs-backend-webgl\/dist\/gpgpu_math\.js$/;
const WRONG = 'uniformShape.length === 2 && util.arraysEqual(x.shape, xTexShape)';
const RIGHT = 'uniformShape.length === 2 && util.arraysEqual(uniformShape, xTexShape)';

export function shaderKey(): Plugin {
  let mended = false;
  return {
    name: 'tripoint:shader-key',
    apply: 'build',
    transform: {
      filter: { id: FILE },
      handler(code) {
        mended = true;
        return { code: mendedKey(code), map: null };
      },
    },
    buildEnd(error) {
      if (error === undefined && !mended) throw new Error(`no file of the build is called like ${FILE}`);
    },
  };
}

/** The code of TF.js's gpgpu_math.js with a key that tells these shaders apart. Throws where it is not as in 4.22.0. */
export function mendedKey(code: string): string {
  const parts = code.split(WRONG);
  if (parts.length !== 2) {
    throw new Error(
      `TF.js's gpgpu_math.js holds \`${WRONG}\` ${parts.length - 1} times instead of once: see whether its WebGL backend ` +
        'still mistakes one shader for another (tensorflow/tfjs issue 6478), and adapt or drop web_demo/vite/shader-key.ts',
    );
  }
  return parts.join(RIGHT);
}
