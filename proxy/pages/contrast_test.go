package pages

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for what shows a control or its focus (1.4.11, 2.4.13). Text is held to 7 where it is the message.
func TestColoursHaveContrastInLightAndDark(t *testing.T) {
	t.Parallel()
	light, dark := palettes(t)
	for _, pair := range []struct {
		front, back string
		least       float64
	}{
		{"text", "card", 7},
		{"text", "page", 7},
		{"soft", "card", 4.5},
		{"soft", "page", 4.5},
		{"link", "card", 4.5},
		{"on-main", "main", 4.5},
		{"on-main", "main-hover", 4.5},
		{"main", "card", 3},
		{"door", "way", 3},
	} {
		for name, palette := range map[string]map[string]string{"light": light, "dark": dark} {
			if got := contrast(t, palette[pair.front], palette[pair.back]); got < pair.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

// palettes reads the custom properties, and insists that each is said for both.
func palettes(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	property := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	before, after, found := strings.Cut(pageCSS, "prefers-color-scheme: dark")
	if !found {
		t.Fatal("no dark palette")
	}
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range property.FindAllStringSubmatch(before, -1) {
		light[m[1]] = m[2]
	}
	changed := property.FindAllStringSubmatch(after, -1)
	for _, m := range changed {
		if light[m[1]] == "" {
			t.Errorf("--%s is only dark", m[1])
		}
		dark[m[1]] = m[2]
	}
	if len(light) < 10 || len(changed) != len(light) {
		t.Errorf("%d light and %d dark colours", len(light), len(changed))
	}
	return light, dark
}

// contrast is the ratio of WCAG 2.2, "contrast ratio".
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("no such colour: %q", colour)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestContrastOfKnownPairs(t *testing.T) {
	t.Parallel()
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.001 {
		t.Errorf("black on white %.3f", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); math.Abs(got-4.478) > 0.001 {
		t.Errorf("grey on white %.3f", got)
	}
}
