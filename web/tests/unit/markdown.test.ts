// @vitest-environment jsdom
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markdown } from '../../src/content/markdown';

function html(text: string): string {
  const host = document.createElement('div');
  host.append(markdown(text));
  return host.innerHTML.trim();
}

const textOf = (text: string) => markdown(text).textContent;

describe('prose', () => {
  it('is formatted', () => {
    expect(html('**bold** and `code`')).toBe('<p dir="auto"><strong>bold</strong> and <code>code</code></p>');
    expect(html('| a | b |\n| - | - |\n| 1 | 2 |')).toContain('<td dir="auto">1</td>');
    expect(textOf('- [x] done\n- [ ] open')).toMatch(/☑\s*done[^]*☐\s*open/);
  });

  it('shows HTML instead of obeying it', () => {
    for (const evil of ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg onload=alert(1)>', '<iframe src="//evil.example">', '<style>*{display:none}</style>', '<a href="javascript:alert(1)">x</a>']) {
      expect(textOf(evil)?.trim()).toBe(evil);
      expect(html(evil)).not.toMatch(/<(script|img|svg|iframe|style|a)\b/);
    }
  });

  it('loads nothing from elsewhere', () => {
    const shown = html('![a pixel](https://evil.example/p.png)');
    expect(shown).toContain('[image: a pixel]');
    expect(shown).not.toContain('evil.example');
  });

  it('links only to the web and to mail, without telling where from', () => {
    expect(html('[x](https://example.org/a?b=1&c=2)')).toBe('<p dir="auto"><a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer" target="_blank">x</a></p>');
    for (const evil of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', '//evil.example', '/api/logout']) {
      expect(html(`[x](${evil})`)).not.toContain('<a');
    }
    expect(html('<javascript:alert(1)>')).not.toContain('<a');
  });

  it('names what turns the writing direction', () => {
    expect(textOf('see \u202egnp.exe')).toContain('⟨U+202E⟩');
  });

  it('never yields anything that runs, whatever it is given', () => {
    const part = fc.constantFrom('<', '>', '"', "'", '`', '[', ']', '(', ')', '!', '*', '_', '#', '\n', ' ', '&', ';', '&#x3c;', 'script', 'img src=x onerror=', 'javascript:', 'href=', 'style=', '<svg/onload=', '</', '<!--', '-->', '<![CDATA[', '|', '-', 'a');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 25 }), (parts) => {
        const host = document.createElement('div');
        host.append(markdown(parts.join('')));
        for (const element of host.querySelectorAll('*')) {
          expect(element.tagName).toMatch(/^(P|BR|HR|STRONG|EM|DEL|CODE|PRE|BLOCKQUOTE|UL|OL|LI|A|DIV|H[1-6]|TABLE|THEAD|TBODY|TR|TH|TD)$/);
          for (const { name, value } of element.attributes) {
            expect(['href', 'class', 'start', 'rel', 'target', 'dir']).toContain(name);
            if (name === 'href') expect(value).toMatch(/^(https?:|mailto:)/i);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
