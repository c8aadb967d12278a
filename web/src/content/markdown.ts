// The agent's prose, from markdown to elements. Hostile input: HTML in it is shown as text, and what the renderer makes
// is sanitised before it becomes elements (DOMPurify's Trusted Types policy is the only one in this page).
import DOMPurify from 'dompurify';
import { Marked, type Tokens } from 'marked';
import { revealDirection } from './reveal';

/** Longer prose is shown as plain text: nobody formats that much, and a parser can be made to take for ever. */
export const MARKDOWN_CHARS_MAX = 16_384;

const LINK = /^(?:https?:|mailto:)/i;

const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }: Tokens.Image) => `[image: ${escape(text || href)}]`,
    link({ href, tokens }: Tokens.Link) {
      const inner = this.parser.parseInline(tokens);
      if (!LINK.test(href)) return inner;
      return `<a href="${escape(href)}">${inner}</a>`;
    },
    checkbox: ({ checked }) => (checked ? '\u2611 ' : '\u2610 '),
    // Wide tables scroll by themselves instead of making the page scroll.
    table(token: Tokens.Table) {
      const row = (cells: Tokens.TableCell[]) => `<tr>${cells.map((cell) => this.tablecell(cell)).join('')}</tr>`;
      return `<div class="table"><table><thead>${row(token.header)}</thead><tbody>${token.rows.map(row).join('')}</tbody></table></div>`;
    },
  },
});

const ALLOWED = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'strong', 'em', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'a', 'div',
    'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
  ],
  ALLOWED_ATTR: ['href', 'class', 'start'],
  ALLOWED_URI_REGEXP: LINK,
  RETURN_DOM_FRAGMENT: true,
} as const;

/** `text` as elements to put into the page. */
export function markdown(text: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(toHtml(text), { ...ALLOWED, ALLOWED_TAGS: [...ALLOWED.ALLOWED_TAGS], ALLOWED_ATTR: [...ALLOWED.ALLOWED_ATTR] });
  for (const link of fragment.querySelectorAll('a')) {
    link.setAttribute('rel', 'noopener noreferrer');
    link.setAttribute('target', '_blank');
  }
  for (const block of fragment.querySelectorAll('p, li, h1, h2, h3, h4, h5, h6, td, th, blockquote')) {
    block.setAttribute('dir', 'auto');
  }
  return fragment;
}

function toHtml(text: string): string {
  const visible = revealDirection(text);
  if (visible.length > MARKDOWN_CHARS_MAX) return plainHtml(visible);
  try {
    return marked.parse(visible) as string;
  } catch {
    return plainHtml(visible);
  }
}

function plainHtml(text: string): string {
  return `<div class="plain">${escape(text)}</div>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
