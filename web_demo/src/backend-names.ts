/** The names of TF.js's backends, where nothing of TF.js is loaded yet. */

export const BACKENDS = ['wasm', 'webgl', 'cpu', 'webgpu'] as const;
export type BackendName = (typeof BACKENDS)[number];
