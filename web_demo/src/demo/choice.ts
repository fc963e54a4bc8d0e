/** A row of radio buttons: backends, precisions. */

import { make } from './elements';

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly note: string;
}

export class Choice {
  readonly #inputs: readonly HTMLInputElement[];

  constructor(
    holder: HTMLElement,
    name: string,
    options: readonly Option[],
    chosen: (value: string) => void,
  ) {
    this.#inputs = options.map(({ value }) => {
      const input = make('input');
      input.type = 'radio';
      input.name = name;
      input.value = value;
      input.addEventListener('change', () => {
        chosen(value);
      });
      return input;
    });
    const labels = options.map(({ label, note }, position) => {
      const text = make('span', {}, make('b', { text: label }), make('small', { text: note }));
      const input = this.#inputs[position];
      return make('label', {}, ...(input === undefined ? [] : [input]), text);
    });
    holder.replaceChildren(...labels);
  }

  get value(): string {
    return this.#inputs.find((input) => input.checked)?.value ?? '';
  }

  set value(value: string) {
    for (const input of this.#inputs) input.checked = input.value === value;
  }
}
