package pages

import (
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  language
	}{
		"nothing said":               {nil, english},
		"empty":                      {[]string{""}, english},
		"bokmål":                     {[]string{"nb"}, bokmål},
		"region does not matter":     {[]string{"nb-NO"}, bokmål},
		"case does not matter":       {[]string{"NN-no"}, nynorsk},
		"no is bokmål":               {[]string{"no"}, bokmål},
		"a Norwegian Chrome":         {[]string{"nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.7,en-US;q=0.6,en;q=0.5"}, bokmål},
		"a nynorsk Firefox":          {[]string{"nn,nb;q=0.9,no;q=0.8,en-US;q=0.5,en;q=0.3"}, nynorsk},
		"the weight decides":         {[]string{"en;q=0.2, nn;q=0.9, nb;q=0.8"}, nynorsk},
		"of equal weight the first":  {[]string{"nn;q=0.5,nb;q=0.5"}, nynorsk},
		"a language that we lack":    {[]string{"se,nb;q=0.4"}, bokmål},
		"only one that we lack":      {[]string{"de-CH, fr;q=0.9"}, english},
		"anything will do":           {[]string{"*, nb;q=0.5"}, english},
		"not acceptable":             {[]string{"nb;q=0"}, english},
		"not acceptable in decimals": {[]string{"nb;q=0.000, nn;q=0.001"}, nynorsk},
		"white space":                {[]string{" \tnb ;\tq=0.9 , en; q=0.1 "}, bokmål},
		"several lines":              {[]string{"de", "nn;q=0.3"}, nynorsk},
		"malformed weights":          {[]string{"nb;q=2,nb;q=1.001,nb;q=x,nb;q=,nb;q=0.1234,nb;x=1,nb;q=1x5,nn;q=0.1"}, nynorsk},
		"malformed ranges":           {[]string{";;;,,,-nb,nbx,n,nb_NO,<script>"}, english},
		"three decimals are read":    {[]string{"nb;q=0.123,nn;q=0.124"}, nynorsk},
		"beyond the bound":           {[]string{strings.Repeat("x,", maxAcceptLanguage/2) + "nn"}, english},
		"many lines beyond it":       {[]string{strings.Repeat("x", maxAcceptLanguage), "nn"}, english},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := negotiate(c.lines); got != c.want {
				t.Errorf("negotiate(%q) = %s, want %s", c.lines, got, c.want)
			}
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"", "nb-NO,nb;q=0.9,en;q=0.5", "nn;q=1.000", "*;q=0", ";q=", "no;q=0.999,,\x00", strings.Repeat("nb;q=0.1,", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := negotiate([]string{header})
		if got != english && got != bokmål && got != nynorsk {
			t.Fatalf("unknown language %q", got)
		}
		if len(header) > maxAcceptLanguage && negotiate([]string{header[:maxAcceptLanguage]}) != got {
			t.Fatal("bytes beyond the bound were read")
		}
		lower := strings.ToLower(header)
		if got != english && !strings.Contains(lower, "n") {
			t.Fatal("a language that nobody asked for")
		}
		if got == nynorsk && !strings.Contains(lower, "nn") {
			t.Fatal("nynorsk, though nobody asked for it")
		}
	})
}

func FuzzSafeHref(f *testing.F) {
	for _, seed := range []string{"", "/", "//x", `/\x`, "https://a.example/", "javascript:x", "/\t/x", "https://a@b", "HTTPS://x", "http:///x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, href string) {
		if !safeHref(href) || href == "" {
			return
		}
		lower := strings.ToLower(href)
		ok := strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") || strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "//")
		if !ok || strings.ContainsAny(href, "\\\t\r\n \x00") {
			t.Fatalf("%q is called safe", href)
		}
	})
}
