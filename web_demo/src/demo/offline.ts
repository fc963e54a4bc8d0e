/** Makes the page work without a network: the app through the service worker, the models by fetching them once. */

import { type DemoModel, versioned } from './catalogue';

// What someone who only looks in should not have to pay for unasked.
const LARGEST_PREFETCH_BYTES = 20e6;

/** Resolves to true once app and models are stored; false where the browser or the address does not allow it. */
export async function keptForOffline(models: readonly DemoModel[]): Promise<boolean> {
  // Absent in private windows of some browsers and on plain http, and pointless in `vite dev`.
  if (!('serviceWorker' in navigator) || !import.meta.env.PROD) return false;
  await navigator.serviceWorker.register('service-worker.js');
  await navigator.serviceWorker.ready;
  await controlled();
  const precisions = models.flatMap((model) => model.precisions);
  const bytes = precisions.reduce((sum, precision) => sum + precision.sizeBytes, 0);
  if (bytes > LARGEST_PREFETCH_BYTES) return false;
  const files = precisions.flatMap((entry) => entry.files.map((file) => versioned(file, entry)));
  // Through the worker, which stores what it passes on.
  const responses = await Promise.all(['models/index.json', ...files].map((file) => fetch(file)));
  return responses.every((response) => response.ok);
}

/** The first visit is not the worker's until it claims the page. */
async function controlled(): Promise<void> {
  if (navigator.serviceWorker.controller !== null) return;
  await new Promise<void>((resolve) => {
    navigator.serviceWorker.addEventListener(
      'controllerchange',
      () => {
        resolve();
      },
      { once: true },
    );
  });
}
