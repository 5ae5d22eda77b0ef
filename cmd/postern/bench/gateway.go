package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// gateway is another program that stands in front of apps, to be measured beside Postern.
type gateway struct {
	name  string
	words []string // of its command, with placeholders

	address string // host:port, by a name that cookies can be set for
	process *process
}

// gateways is the flag that may be given more than once.
type gateways []*gateway

// String implements [flag.Value].
func (g *gateways) String() string {
	var names []string
	for _, one := range *g {
		names = append(names, one.name)
	}
	return strings.Join(names, ", ")
}

// Set implements [flag.Value]: name=command.
func (g *gateways) Set(text string) error {
	name, command, found := strings.Cut(text, "=")
	words, err := splitWords(command)
	switch {
	case !found || strings.TrimSpace(name) != name || name == "":
		return errors.New("want name=command")
	case slices.Contains([]string{postern, roleBare, roleConstant, verifying}, name):
		return fmt.Errorf("%q is the name of another target", name)
	case err != nil:
		return err
	case len(words) == 0:
		return errors.New("there is no command")
	}
	for _, word := range words {
		if _, err := fill(word, map[string]string{}); err != nil {
			return err
		}
	}
	*g = append(*g, &gateway{name: name, words: words})
	return nil
}

// splitWords splits a command at white space outside of quotes. Quotes of either kind go away, and nothing is special within them.
func splitWords(command string) (words []string, err error) {
	var word strings.Builder
	open, begun := rune(0), false
	for _, r := range command {
		switch {
		case open != 0 && r == open:
			open = 0
		case open != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			open, begun = r, true
		case !unicode.IsSpace(r):
			begun = true
			word.WriteRune(r)
		case begun:
			words, begun = append(words, word.String()), false
			word.Reset()
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", open)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// placeholders are what a command may ask for, in braces, or as a variable of its environment by the name in capitals, with _ for -.
var placeholders = []string{"listen", "port", "url", "upstream", "issuer", "client-id", "client-secret", "dir"}

// fill puts values in the place of placeholders. What is in braces and is no name of one is an error: it is a slip of the pen more often than not.
// Braces around anything but lower-case letters and hyphens are left alone.
func fill(word string, values map[string]string) (string, error) {
	var filled strings.Builder
	for {
		before, rest, found := strings.Cut(word, "{")
		filled.WriteString(before)
		if !found {
			return filled.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		switch {
		case !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "":
			filled.WriteByte('{')
			word = rest
		case !slices.Contains(placeholders, name):
			return "", fmt.Errorf("{%s} is not one of {%s}", name, strings.Join(placeholders, "}, {"))
		default:
			filled.WriteString(values[name])
			word = after
		}
	}
}

// origin is where browsers find the gateway.
func (g *gateway) origin() string { return "http://" + g.address }

// startGateway runs a gateway in front of the app, and returns when it answers, whatever it says.
func (w *world) startGateway(ctx context.Context, g *gateway) error {
	var metadata struct{ Issuer string }
	if err := getJSON(ctx, w.wellKnown(), nil, &metadata); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(g.address)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(w.dir, "gateway-")
	if err != nil {
		return err
	}
	values := map[string]string{
		"listen": net.JoinHostPort("127.0.0.1", port), "port": port, "url": g.origin(), "upstream": w.app.address,
		"issuer": metadata.Issuer, "client-id": clientID, "client-secret": clientSecret, "dir": dir,
	}
	env := []string{"HOME=" + dir}
	for name, value := range values {
		env = append(env, strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	var words []string
	for _, word := range g.words {
		filled, err := fill(word, values)
		if err != nil {
			return err
		}
		words = append(words, filled)
	}
	if strings.Contains(words[0], string(filepath.Separator)) { // its directory is ours
		if words[0], err = filepath.Abs(words[0]); err != nil {
			return err
		}
	}
	if g.process, err = spawn(ctx, g.name, values["listen"], env, nil, words[0], words[1:]...); err != nil {
		return err
	}
	g.process.family = true
	w.targets = append(w.targets, g.process)
	return g.process.waitAny(ctx, "http://"+values["listen"]+pathSmall, 20*time.Millisecond)
}
