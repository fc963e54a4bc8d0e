import { resolve } from 'node:path';

import { defineConfig } from 'vite';

export default defineConfig({
  // Relative, so that the build works under any path of any host.
  base: './',
  build: {
    target: 'es2022',
    // Inlined files would need `data:` in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // TF.js's backends are that large; they load only when chosen.
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      input: {
        parity: resolve(import.meta.dirname, 'parity.html'),
      },
    },
  },
});
