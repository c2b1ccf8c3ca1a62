// The question for the token.

import { h, say } from "./dom";

/** The form; `enter` is given what was typed. */
export class Login {
  private readonly field = h("input", {
    id: "token", type: "password", autocomplete: "current-password", required: true,
  });
  private readonly why = h("p", { class: "why", role: "alert" });
  readonly element: HTMLElement;

  constructor(enter: (token: string) => void) {
    const submit = (event: Event) => {
      event.preventDefault();
      if (this.field.value.trim()) enter(this.field.value.trim());
    };
    this.element = h(
      "form", { class: "login", submit, "aria-labelledby": "login" },
      h("h1", { id: "login" }, "Holdfast console"),
      h("label", { for: "token" }, "Admin token"),
      this.field,
      h("button", { class: "strong" }, "Log in"),
      this.why,
    );
  }

  /** Ask, and say why. */
  ask(why: string): void {
    say(this.why, why);
    this.field.value = "";
    this.field.focus();
  }
}
