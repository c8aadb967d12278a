// Moves the built page's style sheet behind its first words: on a slow network those are then painted with the HTML, one
// round trip earlier. The script still waits for it, so nothing else is ever seen without its style.
import type { Plugin } from 'vite';

const LINK = /\s*<link rel="stylesheet"[^>]*>/;
const WORDS = '<div id="app">';

export function lateStyle(): Plugin {
  return {
    name: 'late-style',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(html) {
        const link = LINK.exec(html)?.[0];
        if (link === undefined || !html.includes(WORDS)) throw new Error('index.html has no style sheet, or no place for it');
        return html.replace(link, '').replace('  </body>', `    ${link.trim()}\n  </body>`);
      },
    },
  };
}
