'use strict';
(() => {
  // No pause is played longer than this, milliseconds; no more marks than this are drawn.
  const GAP = 2000, MARKS = 1500;
  const $ = (id) => document.getElementById(id);
  const events = [...document.querySelectorAll('main article')];
  if (events.length === 0) return;
  const at = [];
  let played = 0, before = null;
  for (const event of events) {
    const ms = Date.parse(event.dataset.time) || before || 0;
    if (before !== null) played += Math.min(Math.max(ms - before, 0), GAP);
    before = ms;
    at.push(played);
  }
  const end = Math.max(played, 1), slider = $('when'), play = $('play'), shown = $('shown');
  slider.max = end;
  slider.value = end;
  let current = events.length - 1, clock = end, running = null;

  const last = (time) => {
    let low = 0, high = events.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (at[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  };
  const show = (index, scroll) => {
    for (let i = index + 1; i <= current; i++) events[i].hidden = true;
    for (let i = current + 1; i <= index; i++) events[i].hidden = false;
    events[current].classList.remove('now');
    current = index;
    events[index].classList.add('now');
    slider.value = clock;
    const gone = index === events.length - 1 ? 'all ' : index + 1 + ' of ';
    shown.textContent = gone + events.length + ' records, ' + events[index].dataset.time;
    if (scroll) events[index].scrollIntoView({ block: 'end' });
  };
  const go = (index) => { clock = at[index]; show(index, true); };
  const stop = () => { cancelAnimationFrame(running); running = null; play.textContent = 'Play'; };
  const start = () => {
    if (current === events.length - 1) go(0);
    play.textContent = 'Pause';
    let then = performance.now();
    const step = (now) => {
      clock = Math.min(clock + (now - then) * Number($('speed').value), end);
      then = now;
      const index = last(clock);
      show(index, index !== current);
      if (clock >= end) stop(); else running = requestAnimationFrame(step);
    };
    running = requestAnimationFrame(step);
  };
  const jump = (kind, by) => {
    stop();
    for (let i = current + by; i >= 0 && i < events.length; i += by) {
      if (events[i].classList.contains(kind)) return go(i);
    }
  };
  const actions = {
    play: () => (running === null ? start() : stop()),
    'command-before': () => jump('tool', -1), command: () => jump('tool', 1),
    'error-before': () => jump('error', -1), error: () => jump('error', 1),
    all: () => { stop(); clock = end; show(events.length - 1, false); },
  };
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener('click', action);
  slider.addEventListener('input', () => { stop(); clock = Number(slider.value); show(last(clock), true); });
  const keys = { ' ': 'play', c: 'command', C: 'command-before', e: 'error', E: 'error-before', a: 'all' };
  document.addEventListener('keydown', (press) => {
    const id = keys[press.key];
    if (!id || press.ctrlKey || press.metaKey || press.altKey || press.target.closest('button, select')) return;
    press.preventDefault();
    actions[id]();
  });
  const marked = events.flatMap((event, i) => {
    const kind = ['error', 'tool', 'user'].find((name) => event.classList.contains(name));
    return kind ? [[kind, at[i]]] : [];
  });
  const every = Math.ceil(marked.length / MARKS);
  marked.forEach(([kind, time], i) => {
    if (kind === 'tool' && i % every !== 0) return;
    const mark = document.createElement('i');
    mark.className = kind;
    mark.style.left = (100 * time) / end + '%';
    $('marks').append(mark);
  });
  show(current, false);
  $('player').hidden = false;
})();
