// Makes elements. Texts enter as texts, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

const put = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value') node.value = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
};

export const h = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);
export const find = (id) => document.getElementById(id);

const drawn = new WeakMap();

// Draws `make()` into `place` if `data` is not what is drawn there; what had the focus keeps it, by its data-key.
export const fill = (place, data, make) => {
  const print = JSON.stringify(data);
  if (drawn.get(place) === print) return;
  drawn.set(place, print);
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...[make()].flat(Infinity).filter(Boolean));
  if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
};

export const redraw = () => document.querySelectorAll('[id]').forEach((place) => drawn.delete(place));

// A link to another program: only what a browser opens without running it.
export const away = (url, text, attributes) => {
  let target;
  try {
    target = new URL(url);
  } catch {
    return null;
  }
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return null;
  return h('a', { href: target.href, target: '_blank', rel: 'noopener noreferrer', ...attributes }, text);
};

let toastTimer;
export const toast = (text, isBad = false) => {
  const place = find('toast');
  place.replaceChildren(h('p', { class: isBad ? 'bad' : 'good' }, text));
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.replaceChildren(), 8000);
};
