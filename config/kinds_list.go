package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// listKind reads comma-separated text, or a YAML sequence whose members are taken whole.
func listKind[E any](word string, element kind[E], split func(string) []string) kind[[]E] {
	all := func(texts []string) ([]E, error) {
		var out []E
		for i, text := range texts {
			v, err := element.parse(text)
			if err != nil {
				return nil, fmt.Errorf("entry %d %w", i+1, err)
			}
			out = append(out, v)
		}
		return out, nil
	}
	return kind[[]E]{
		word: word, list: true, secret: element.secret,
		parse: func(text string) ([]E, error) { return all(split(text)) },
		node: func(n *yaml.Node) ([]E, error) {
			if n.Kind != yaml.SequenceNode {
				text, err := scalar(n)
				if err != nil {
					return nil, errors.New("wants a list, or one comma-separated text")
				}
				return all(split(text))
			}
			texts, err := scalars(n)
			if err != nil {
				return nil, err
			}
			return all(texts)
		},
		format: func(list []E) string {
			texts := make([]string, len(list))
			for i, v := range list {
				texts[i] = element.format(v)
			}
			return strings.Join(texts, ",")
		},
	}
}

func scalars(n *yaml.Node) ([]string, error) {
	var out []string
	for i, member := range n.Content {
		text, err := scalar(member)
		if err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
		out = append(out, text)
	}
	return out, nil
}

// commas splits at commas; spaces around entries and empty entries do not count.
func commas(text string) []string { return splitOutside(text, "") }

// commasAndLines also splits at line ends, for key files with one key on each line.
func commasAndLines(text string) []string {
	return splitOutside(strings.ReplaceAll(text, "\n", ","), "")
}

// commasOutsideBraces keeps alternatives of a glob together: /{a,b}/** is one entry. wonderwall tears them apart.
func commasOutsideBraces(text string) []string { return splitOutside(text, "{}") }

func splitOutside(text, braces string) []string {
	var out []string
	depth, start := 0, 0
	cut := func(end int) {
		if entry := strings.TrimSpace(text[start:end]); entry != "" {
			out = append(out, entry)
		}
		start = end + 1
	}
	for i := range len(text) {
		switch {
		case braces != "" && text[i] == braces[0]:
			depth++
		case braces != "" && text[i] == braces[1] && depth > 0:
			depth--
		case text[i] == ',' && depth == 0:
			cut(i)
		}
	}
	cut(len(text))
	return out
}

func textsKind(word string) kind[[]string] { return listKind(word, textKind("text"), commas) }

func globsKind() kind[[]string] {
	return listKind("list of globs", textKind("glob"), commasOutsideBraces)
}

func secretsKind() kind[[]Secret] { return listKind("list of secrets", secretKind(), commasAndLines) }

// enumsKind is a list of words out of the given ones.
func enumsKind(values []string) kind[[]string] { return listKind("list", enumKind(values), commas) }

// urlsKind reads absolute URLs; which ones are acceptable is for the checks to say.
func urlsKind() kind[[]*url.URL] {
	element := kind[*url.URL]{
		parse: func(text string) (*url.URL, error) {
			if _, err := plain(text); err != nil {
				return nil, err
			}
			u, err := url.Parse(strings.TrimSpace(text))
			if err != nil || !u.IsAbs() || u.Host == "" {
				return nil, errors.New("must be an address such as https://app.example.org/path")
			}
			return u, nil
		},
		format: func(u *url.URL) string { return u.String() },
	}
	return listKind("list of URLs", element, commas)
}

// prefixesKind reads networks and single addresses. Mapped addresses are unmapped and host bits cleared, so that what is shown is what
// is compared (S-13).
func prefixesKind() kind[[]netip.Prefix] {
	element := kind[netip.Prefix]{parse: parsePrefix, format: netip.Prefix.String}
	return listKind("list of networks", element, commas)
}

func parsePrefix(text string) (netip.Prefix, error) {
	wrong := errors.New("must be a network such as 10.0.0.0/8, or an address")
	text = strings.TrimSpace(text)
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, wrong
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// pairsKind reads entries of a form such as `Name=value`, or a YAML mapping.
func pairsKind(form string) kind[map[string]string] {
	collect := func(entries []string) (map[string]string, error) {
		out := map[string]string{}
		for i, entry := range entries {
			name, value, ok := strings.Cut(entry, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok || name == "" || value == "" {
				return nil, fmt.Errorf("entry %d must be %s", i+1, form)
			}
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("entry %d names something for the second time", i+1)
			}
			out[name] = value
		}
		return out, nil
	}
	return kind[map[string]string]{
		word: "list of " + form, list: true,
		parse: func(text string) (map[string]string, error) { return collect(commas(text)) },
		node: func(n *yaml.Node) (map[string]string, error) {
			switch n.Kind {
			case yaml.SequenceNode:
				texts, err := scalars(n)
				if err != nil {
					return nil, err
				}
				return collect(texts)
			case yaml.MappingNode:
				texts, err := scalars(n)
				if err != nil {
					return nil, err
				}
				var entries []string
				for i := 0; i+1 < len(texts); i += 2 {
					entries = append(entries, texts[i]+"="+texts[i+1])
				}
				return collect(entries)
			default:
				text, err := scalar(n)
				if err != nil {
					return nil, err
				}
				return collect(commas(text))
			}
		},
		format: func(pairs map[string]string) string {
			entries := make([]string, 0, len(pairs))
			for name, value := range pairs {
				entries = append(entries, name+"="+value)
			}
			sort.Strings(entries)
			return strings.Join(entries, ",")
		},
	}
}
