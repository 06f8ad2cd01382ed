"""The style and the script of a page."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --paper: #ffffff; --card: #f6f8fa; --line: #d1d9e0;
  --link: #0969da; --height: 96px; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --paper: #0d1117; --card: #151b23;
  --line: #3d444d; --link: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
a { color: var(--link); }
header, main { max-width: 1500px; margin: auto; padding: 0 16px; }
h1 { font-size: 22px; margin: 20px 0 4px; overflow-wrap: anywhere; }
header p { margin: 4px 0; max-width: 90ch; color: var(--faint); overflow-wrap: anywhere; }
.legend span { display: inline-block; margin-right: 14px; }
.legend i { display: inline-block; width: 11px; height: 11px; margin-right: 5px; border: 1px solid var(--line); }
form { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--line); }
form div { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; max-width: 1500px; margin: auto;
  padding: 10px 16px; }
form label { color: var(--faint); font-size: 13px; }
select, input[type=search] { font: inherit; font-size: 14px; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); border-radius: 6px; padding: 4px 6px; max-width: 220px; }
output { font-weight: 600; margin-left: auto; }
main { display: flex; flex-wrap: wrap; gap: 14px; padding-top: 14px; padding-bottom: 40px; align-items: flex-start; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px;
  max-width: 100%; content-visibility: auto; contain-intrinsic-size: auto 340px auto 230px; }
article[hidden] { display: none; }
article h2 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
article p { margin: 2px 0; font-size: 13px; color: var(--faint); overflow-wrap: anywhere; }
article .facts { max-width: 60ch; }
.rows { display: flex; flex-wrap: wrap; gap: 8px 18px; margin: 8px 0; align-items: flex-end; }
.row { min-width: 136px; max-width: 100%; }
.row h3 { font-size: 12px; font-weight: 600; margin: 0 0 4px; }
.row h3, figcaption { width: 0; min-width: 100%; } /* as wide as the films, and no wider */
.films { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; }
figure { margin: 0; max-width: 100%; }
figcaption { font-size: 12px; color: var(--faint); }
.film { height: calc(var(--height) * var(--zoom, 1)); aspect-ratio: var(--shape); max-width: 100%; border-radius: 4px;
  background-size: calc(var(--frames) * 100%) 100%; }
.moving { animation: film var(--seconds) steps(var(--frames), jump-none) infinite; }
.still .moving { animation-play-state: paused; }
@keyframes film { from { background-position: 0 0; } to { background-position: 100% 0; } }
@media (max-width: 600px) { output { margin-left: 0; } article { width: 100%; } }
"""

SCRIPT = """
"use strict";
const form = document.querySelector("form"), cards = [...document.querySelectorAll("article")];
const choices = [...form.querySelectorAll("select[data-tag]")];
function update() {
  const words = form.elements.search.value.toLowerCase().split(/\\s+/);
  let shown = 0;
  for (const card of cards) {
    const tags = JSON.parse(card.dataset.tags);
    const keep = choices.every(choice => !choice.value || [tags[choice.dataset.tag]].flat().includes(choice.value))
      && words.every(word => card.dataset.text.includes(word));
    card.hidden = !keep;
    shown += keep;
  }
  form.elements.count.value = `${shown} of ${cards.length} clips`;
}
function look() {
  document.body.classList.toggle("still", !form.elements.play.checked);
  document.body.style.setProperty("--zoom", form.elements.zoom.value);
}
form.elements.play.checked = !matchMedia("(prefers-reduced-motion: reduce)").matches;
form.addEventListener("input", () => { update(); look(); });
form.addEventListener("submit", event => event.preventDefault());
update();
look();
"""
