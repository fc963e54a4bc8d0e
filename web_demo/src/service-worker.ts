/** Answers without a network: the app from its own build, models from what was fetched once. */

import { clientsClaim } from 'workbox-core';
import { ExpirationPlugin } from 'workbox-expiration';
import { cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';
import { CacheFirst, NetworkFirst } from 'workbox-strategies';

declare const self: ServiceWorkerGlobalScope & {
  readonly __WB_MANIFEST: { url: string; revision: string | null }[];
};

const MODELS = 'tripoint-models';
// Some ten models; beyond it the longest unused go, such as those of earlier training runs.
const MOST_FILES = 100;

void self.skipWaiting();
clientsClaim();
cleanupOutdatedCaches();
// The build writes the list of its files here.
precacheAndRoute(self.__WB_MANIFEST);

// The list of models changes under one address; a model's file never does, because its address names its digest.
registerRoute(
  ({ url }) => url.pathname.endsWith('/models/index.json'),
  new NetworkFirst({ cacheName: MODELS }),
);
registerRoute(
  ({ url }) => url.searchParams.has('digest'),
  new CacheFirst({ cacheName: MODELS, plugins: [new ExpirationPlugin({ maxEntries: MOST_FILES })] }),
);
