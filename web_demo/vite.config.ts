import { resolve } from 'node:path';

import { defineConfig } from 'vite';

import { kernels } from './vite/kernels.ts';
import { precache } from './vite/precache.ts';
import { shaderKey } from './vite/shader-key.ts';

const SERVICE_WORKER = 'service-worker';
const KERNELS = 'kernels.json';

export default defineConfig({
  // Relative, so that the build works under any path of any host.
  base: './',
  plugins: [
    shaderKey(),
    kernels(KERNELS),
    precache(`${SERVICE_WORKER}.js`, (file) => file.includes('parity') || file === KERNELS),
  ],
  build: {
    target: 'es2022',
    // Inlined files would need `data:` in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // TF.js's backends are that large; they load only when chosen.
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      input: {
        index: resolve(import.meta.dirname, 'index.html'),
        parity: resolve(import.meta.dirname, 'parity.html'),
        [SERVICE_WORKER]: resolve(import.meta.dirname, 'src/service-worker.ts'),
      },
      output: {
        // A service worker's address must stay the same, and its folder is what it may answer for.
        entryFileNames: (chunk) => (chunk.name === SERVICE_WORKER ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
