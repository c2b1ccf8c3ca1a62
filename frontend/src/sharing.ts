// Viewers: the links that invite them, and who watches.

import type { Link, Message } from "./link";

export const WATCH = "watch=";
const SECONDS = 3_600;

type Invitation = { id: number; seconds: number; viewers: string[] };

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export class Sharing {
  private readonly panel = find("sharing");
  private readonly address = find<HTMLInputElement>("invitation");
  private invited = false;

  constructor(private readonly link: Link) {
    find("share").onclick = () => this.toggle();
    find("invite").onclick = () => this.invite();
    find("shared").onclick = () => this.toggle();
    find("copy").onclick = () => this.copy();
  }

  /** Whether this message was about viewers. */
  hear(message: Message): boolean {
    if (message.t === "invitation") {
      this.invited = true;
      this.address.value = `${location.origin}${location.pathname}#${WATCH}${message.token}`;
      this.address.select();
    } else if (message.t === "viewers") {
      this.list(message.invitations as Invitation[]);
    } else {
      return false;
    }
    return true;
  }

  private toggle(): void {
    this.panel.hidden = !this.panel.hidden;
    if (!this.panel.hidden && !this.invited) this.invite();
  }

  private invite(): void {
    this.link.say({ t: "invite", seconds: SECONDS });
  }

  private copy(): void {
    this.address.select();
    void navigator.clipboard?.writeText(this.address.value).catch(() => undefined);
  }

  private list(invitations: Invitation[]): void {
    const count = invitations.reduce((sum, { viewers }) => sum + viewers.length, 0);
    find("share").textContent = count ? `Watched by ${count}` : "Share";
    find("watchers").replaceChildren(...invitations.map((one) => this.item(one)));
  }

  private item({ id, seconds, viewers }: Invitation): HTMLLIElement {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const minutes = Math.max(1, Math.round(seconds / 60));
    text.textContent =
      `Link ${id}, for ${minutes} min: ${viewers.length ? viewers.join(", ") : "nobody watches"}`;
    const revoke = document.createElement("button");
    revoke.type = "button";
    revoke.textContent = "Revoke";
    revoke.onclick = () => {
      this.address.value = "";
      this.link.say({ t: "revoke", id });
    };
    item.append(text, revoke);
    return item;
  }
}
