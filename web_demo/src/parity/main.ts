/** The parity page: does what the Python side asks, one instruction after the other, on the demo's own model runner. */

import { contextIsLost, forget, kernelsOf, onContextLost } from '../backends';
import { CONTEXT_LOST, type ModelRunner, loadModel } from '../model-runner';
import { decode, encode } from '../safetensors';
import type { HostTensor } from '../tensors';
import { Conversation, type Instruction, describe } from './protocol';

let loaded: ModelRunner | null = null;

async function obeyed(instruction: Instruction, conversation: Conversation): Promise<Blob> {
  switch (instruction.kind) {
    case 'load':
      unload();
      loaded = await loadModel(instruction.url, instruction.backend);
      if (instruction.backend === 'webgl') {
        onContextLost(() => void conversation.fail(new Error(CONTEXT_LOST)));
      }
      return new Blob([JSON.stringify(loaded.facts)], { type: 'application/json' });
    case 'run': {
      if (loaded === null) throw new Error('asked to run before a model was loaded');
      const samples = decode(await conversation.inputsOf(instruction.id));
      const { outputs, callSeconds } = await loaded.run(samples, instruction.batchSize, () =>
        conversation.progress(instruction.id),
      );
      // Prefixed, so that no output can have the name that the times travel under.
      const answers = [...outputs].map(([name, output]): [string, HostTensor] => [`output:${name}`, output]);
      const times: HostTensor = {
        dtype: 'float32',
        shape: [callSeconds.length],
        values: new Float32Array(callSeconds),
      };
      return encode(new Map([...answers, ['call_seconds', times]]));
    }
    case 'unload':
      unload();
      return new Blob();
    case 'kernels':
      return new Blob([JSON.stringify(await kernelsOf(instruction.backend))], { type: 'application/json' });
  }
}

function unload(): void {
  loaded?.dispose();
  loaded = null;
}

function show(text: string): void {
  const status = document.querySelector('#status');
  if (status !== null) status.textContent = text;
}

async function converse(conversation: Conversation): Promise<never> {
  for (;;) {
    const instruction = await conversation.next();
    if (instruction === null) continue;
    show(`${instruction.kind} (instruction ${instruction.id})`);
    try {
      await conversation.answer(instruction.id, await obeyed(instruction, conversation));
    } catch (error) {
      // Its first sign may be any error, such as a shader that does not compile; and nothing will run here again.
      if (await contextIsLost({ suspected: true })) throw new Error(CONTEXT_LOST, { cause: error });
      await conversation.fail(error, instruction.id);
      if (error instanceof WebAssembly.RuntimeError) {
        // The memory that the model's tensors lie in may hold anything: it is left, not tidied up.
        loaded = null;
        forget('wasm');
      }
    }
    show('Waiting for the next instruction.');
  }
}

const token = new URLSearchParams(location.search).get('token');
if (token === null) {
  show('This address has no token: open the one that `tripoint` printed.');
} else {
  const conversation = new Conversation(new URL(`parity/${token}/`, document.baseURI));
  addEventListener('error', (event) => void conversation.fail(event.error ?? event.message));
  addEventListener('unhandledrejection', (event) => void conversation.fail(event.reason));
  show('Waiting for the first instruction.');
  converse(conversation).catch(async (error: unknown) => {
    show(`The conversation with Tripoint ended: ${describe(error)}`);
    await conversation.fail(error);
  });
}
