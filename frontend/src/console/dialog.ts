// Questions before what cannot be undone.

import { type Child, h } from "./dom";

export interface Question {
  title: string;
  /** What the button says that goes on. */
  action: string;
  danger?: boolean;
  body: Child[];
}

/** Ask. Resolves to whether to go on; Escape is no, and Enter in a field is yes, without danger. */
export function ask({ title, action, danger, body }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const close = (value: string) => () => dialog.close(value);
    const dialog = h(
      "dialog", { "aria-labelledby": "question" },
      h("h2", { id: "question" }, title),
      ...body,
      h(
        "div", { class: "row end" },
        h("button", { type: "button", click: close("") }, "Cancel"),
        h(
          "button",
          { type: "button", class: danger ? "danger" : "strong", click: close("yes") },
          action,
        ),
      ),
    );
    dialog.addEventListener("keydown", (event) => {
      const isField = event.target instanceof HTMLInputElement && !event.isComposing;
      if (event.key !== "Enter" || !isField || danger) return;
      event.preventDefault(); // else the button that has asked gets the key, too
      dialog.close("yes");
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
