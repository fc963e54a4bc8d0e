/** TF.js's backends: switched on by name, and made to say what they really are. */

import {
  type KernelBackend,
  backend,
  engine,
  env,
  getBackend,
  getKernelsForBackend,
  setBackend,
  version_core,
} from '@tensorflow/tfjs-core';

import wasmUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import wasmSimdUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';

import { BACKENDS, type BackendName } from './backend-names';

export { BACKENDS, type BackendName };

export function isBackendName(name: string): name is BackendName {
  return (BACKENDS as readonly string[]).includes(name);
}

/** What runs, in words: `backend` and `userAgent` always, the rest where the backend has it. */
export type BackendDetails = Readonly<Record<string, string>>;

export const TFJS_VERSION = version_core;

/** Makes the backend TF.js's current one; throws unless it really is afterwards. */
export async function activate(name: BackendName): Promise<void> {
  await register(name);
  // False means that it could not start, although `getBackend()` may already name it.
  const started = await setBackend(name);
  const current = getBackend();
  if (!started || current !== name) {
    throw new Error(`the ${name} backend does not start in this browser (TF.js would run on ${current})`);
  }
}

/** The names of the kernels that the backend has registered in this page; a bundler may have left some out. */
export async function kernelsOf(name: string): Promise<readonly string[]> {
  if (!isBackendName(name)) throw new Error(`there is no backend ${name}: there are ${BACKENDS.join(', ')}`);
  await register(name);
  return getKernelsForBackend(name).map((kernel) => kernel.kernelName);
}

/** Lets the next `activate` start the backend anew, with memory of its own; for after a trap in its code. */
export function forget(name: BackendName): void {
  // TF.js would dispose of a backend that it removes, and forget how to make another.
  const { registry } = engine() as unknown as { registry: Record<string, KernelBackend | undefined> };
  registry[name] = undefined;
}

let wasmIsConfigured = false;

async function register(name: BackendName): Promise<void> {
  switch (name) {
    case 'cpu':
      await import('@tensorflow/tfjs-backend-cpu');
      return;
    case 'webgl':
      await import('@tensorflow/tfjs-backend-webgl');
      // Otherwise a shader is compiled anew for every shape: on SwiftShader that was three quarters of the first calls.
      env().set('WEBGL_USE_SHAPES_UNIFORMS', true);
      return;
    case 'wasm': {
      const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
      if (!wasmIsConfigured) {
        wasmIsConfigured = true;
        // One thread everywhere: threads need isolation headers that few static hosts send, and what was proved here
        // should be what users run. Set before the paths, because the first use of the backend fixes both.
        env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
        setWasmPaths({
          'tfjs-backend-wasm.wasm': wasmUrl,
          'tfjs-backend-wasm-simd.wasm': wasmSimdUrl,
          'tfjs-backend-wasm-threaded-simd.wasm': wasmSimdUrl,
        });
      }
      return;
    }
    case 'webgpu':
      if (!('gpu' in navigator)) throw new Error('this browser has no WebGPU');
      await import('@tensorflow/tfjs-backend-webgpu');
      return;
  }
}

export async function backendDetails(name: BackendName): Promise<BackendDetails> {
  const common = { backend: getBackend(), userAgent: navigator.userAgent };
  switch (name) {
    case 'cpu':
      return common;
    case 'wasm': {
      const simd = (await env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
      return { ...common, wasm: simd ? 'SIMD' : 'no SIMD', threads: '1' };
    }
    case 'webgl': {
      const gl = webglContext();
      return {
        ...common,
        renderer: rendererOf(gl),
        webgl: String(env().getNumber('WEBGL_VERSION')),
        float32Textures: env().getBool('WEBGL_RENDER_FLOAT32_ENABLED') ? 'yes' : 'no',
        shapes: env().getBool('WEBGL_USE_SHAPES_UNIFORMS') ? 'uniforms' : 'compiled in',
      };
    }
    case 'webgpu': {
      const { adapterInfo } = backend() as KernelBackend & {
        adapterInfo: { vendor: string; architecture: string };
      };
      return { ...common, renderer: `${adapterInfo.vendor} ${adapterInfo.architecture}`.trim() };
    }
  }
}

function webglContext(): WebGLRenderingContext {
  return (backend() as KernelBackend & { getGPGPUContext(): { gl: WebGLRenderingContext } }).getGPGPUContext()
    .gl;
}

function rendererOf(gl: WebGLRenderingContext): string {
  const unmasked = gl.getExtension('WEBGL_debug_renderer_info');
  return String(gl.getParameter(unmasked === null ? gl.RENDERER : unmasked.UNMASKED_RENDERER_WEBGL));
}

const WEBGL_ERRORS = [
  'INVALID_ENUM',
  'INVALID_VALUE',
  'INVALID_OPERATION',
  'INVALID_FRAMEBUFFER_OPERATION',
  'OUT_OF_MEMORY',
  'CONTEXT_LOST_WEBGL',
] as const;

// The browser hears of its graphics process's death a little after the calls begin to fail.
const NEWS_TAKES_MS = 200;

/**
 * True when the driver took the WebGL context away: every texture is gone, and reading one gives zeros.
 *
 * `suspected` after an error that may be its first sign.
 */
export async function contextIsLost({ suspected }: { readonly suspected: boolean }): Promise<boolean> {
  if (getBackend() !== 'webgl') return false;
  await new Promise((resolve) => setTimeout(resolve, suspected ? NEWS_TAKES_MS : 0));
  return webglContext().isContextLost();
}

/**
 * What WebGL has noted since it was last asked, such as OUT_OF_MEMORY; nothing on other backends.
 *
 * TF.js does not look: it goes on with textures that were never made, and answers with what lies there.
 */
export function webglErrors(): readonly string[] {
  if (getBackend() !== 'webgl') return [];
  const gl = webglContext();
  const names: string[] = [];
  for (let code = gl.getError(); code !== gl.NO_ERROR; code = gl.getError()) {
    names.push(WEBGL_ERRORS.find((name) => gl[name] === code) ?? String(code));
  }
  return names;
}

/** Calls back when that happens; the backend must be webgl. */
export function onContextLost(lost: () => void): void {
  webglContext().canvas.addEventListener('webglcontextlost', lost, { once: true });
}
