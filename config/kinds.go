package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// kind reads and shows one type of value. Its errors say what is wanted and never repeat what was given.
type kind[T any] struct {
	word    string
	list    bool
	boolean bool
	secret  bool
	parse   func(string) (T, error)
	node    func(*yaml.Node) (T, error) // nil: a scalar, read by parse
	format  func(T) string
}

var (
	errControl = errors.New("must not hold control characters")
	errScalar  = errors.New("wants a single value")
	errNull    = errors.New("has no value; leave the key out, or write \"\"")
	errTag     = errors.New("has a YAML tag that is not understood")
)

// scalarOf reads a YAML scalar by its text, so that `0123` and `yes` stay what was typed.
func scalarOf[T any](parse func(string) (T, error)) func(*yaml.Node) (T, error) {
	return func(n *yaml.Node) (T, error) {
		text, err := scalar(n)
		if err != nil {
			var zero T
			return zero, err
		}
		return parse(text)
	}
}

func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", errScalar
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value, nil
	case "!!null":
		return "", errNull
	default:
		return "", errTag
	}
}

func plain(text string) (string, error) {
	text = strings.TrimSpace(text)
	for i := range len(text) {
		if text[i] < 0x20 || text[i] == 0x7f {
			return "", errControl
		}
	}
	return text, nil
}

func same(text string) string { return text }

// textKind is one line of text; words such as "path" or "URL" tell readers which.
func textKind(word string) kind[string] {
	return kind[string]{word: word, parse: plain, format: same}
}

func toggleKind() kind[bool] {
	return kind[bool]{word: "true/false", boolean: true, format: strconv.FormatBool, parse: func(text string) (bool, error) {
		v, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			return false, errors.New("must be true or false")
		}
		return v, nil
	}}
}

// durationKind is Go's notation. No option takes a negative one.
func durationKind() kind[time.Duration] {
	return kind[time.Duration]{word: "duration", format: formatDuration, parse: func(text string) (time.Duration, error) {
		v, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			return 0, errors.New("must be a duration such as 30s, 15m or 10h")
		}
		if v < 0 {
			return 0, errors.New("must not be negative")
		}
		return v, nil
	}}
}

// formatDuration is the shortest notation: 10h rather than 10h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func numberKind(least, most int) kind[int] {
	return kind[int]{word: "number", format: strconv.Itoa, parse: func(text string) (int, error) {
		v, err := strconv.Atoi(strings.TrimSpace(text))
		if err == nil && least <= v && v <= most {
			return v, nil
		}
		if most == math.MaxInt {
			return 0, fmt.Errorf("must be a whole number, at least %d", least)
		}
		return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
	}}
}

// sizeUnits in the order in which formatSize tries them. Kubernetes writes Mi, people write MiB.
func sizeUnits() []struct {
	suffix string
	bytes  int64
} {
	return []struct {
		suffix string
		bytes  int64
	}{
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"Gi", 1 << 30},
		{"Mi", 1 << 20},
		{"Ki", 1 << 10},
		{"GB", 1e9},
		{"MB", 1e6},
		{"kB", 1e3},
		{"KB", 1e3},
		{"B", 1},
	}
}

// sizeKind is a number of bytes, with or without a unit.
func sizeKind[T int | int64]() kind[T] {
	return kind[T]{
		word:   "size",
		parse:  func(text string) (T, error) { return parseSize[T](text) },
		format: func(v T) string { return formatSize(int64(v)) },
	}
}

func parseSize[T int | int64](text string) (T, error) {
	text = strings.TrimSpace(text)
	unit := int64(1)
	for _, u := range sizeUnits() {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || v > math.MaxInt64/unit || int64(T(v*unit)) != v*unit {
		return 0, errors.New("must be a size such as 65536, 64KiB or 1MiB")
	}
	return T(v * unit), nil
}

func formatSize(v int64) string {
	for _, u := range sizeUnits()[:3] {
		if v != 0 && v%u.bytes == 0 {
			return strconv.FormatInt(v/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(v, 10)
}

// enumKind is one of the given words, exactly.
func enumKind(values []string) kind[string] {
	return kind[string]{word: strings.Join(values, "/"), format: same, parse: func(text string) (string, error) {
		text = strings.TrimSpace(text)
		return text, known(text, values)
	}}
}

// known says what an enumeration takes, and what was probably meant. What was given is not repeated, the nearest value says enough.
func known(text string, values []string) error {
	for _, v := range values {
		if text == v {
			return nil
		}
	}
	want := "must be one of " + strings.Join(values, ", ")
	if near, ok := Nearest(text, values); ok {
		return fmt.Errorf("%s; nearest: %s", want, near)
	}
	return errors.New(want)
}

// secretKind is kept byte for byte.
func secretKind() kind[Secret] {
	return kind[Secret]{word: "secret", secret: true, format: Secret.String, parse: func(text string) (Secret, error) {
		return NewSecret(text), nil
	}}
}
