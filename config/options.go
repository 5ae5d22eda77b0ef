package config

import (
	"math"
	"time"
)

// define fills the table. The order here is the order of the help text, the reference and `postern config`.
func (t *table) define(c *Config) {
	t.group("Configuration file")
	o := t.path(&t.config, "config", "YAML file with options as nested keys.")
	o.flagOnly = true

	t.serverOptions(c)
	t.frontOptions(c)
	t.upstreamOptions(c)
	t.identityOptions(c)
	t.loginOptions(c)
	t.cookieOptions(c)
	t.sessionOptions(c)
	t.redisOptions(c)
	t.ssoOptions(c)
	t.accessOptions(c)
	t.tokenOptions(c)
	t.operationOptions(c)
	t.platformVariables(c)
}

func (t *table) text(field *string, name, fallback, doc string) *option {
	return bind(t, field, name, fallback, textKind("text"), doc)
}

func (t *table) url(field *string, name, doc string) *option {
	return bind(t, field, name, "", textKind("URL"), doc)
}

func (t *table) path(field *string, name, doc string) *option {
	return bind(t, field, name, "", textKind("path"), doc)
}

// address is host:port or unix:/path; the checks look at its form, since which forms do depends on the listener.
func (t *table) address(field *string, name, fallback, doc string) *option {
	return bind(t, field, name, fallback, textKind("address"), doc)
}

func (t *table) toggle(field *bool, name string, fallback bool, doc string) *option {
	return bind(t, field, name, fallback, toggleKind(), doc)
}

func (t *table) duration(field *time.Duration, name string, fallback time.Duration, doc string) *option {
	return bind(t, field, name, fallback, durationKind(), doc)
}

func (t *table) number(field *int, name string, fallback, least int, doc string) *option {
	return bind(t, field, name, fallback, numberKind(least, math.MaxInt), doc)
}

func (t *table) size(field *int, name string, fallback int, doc string) *option {
	return bind(t, field, name, fallback, sizeKind[int](), doc)
}

func (t *table) size64(field *int64, name string, fallback int64, doc string) *option {
	return bind(t, field, name, fallback, sizeKind[int64](), doc)
}

func (t *table) texts(field *[]string, name, doc string) *option {
	return bind(t, field, name, nil, textsKind("list"), doc)
}

// oneOf is an enumeration; the first value is the default.
func (t *table) oneOf(field *string, name, doc string, values ...string) *option {
	o := bind(t, field, name, values[0], enumKind(values), doc)
	o.values = values
	return o
}

// someOf is a list of words out of the given ones.
func (t *table) someOf(field *[]string, name, doc string, values ...string) *option {
	o := bind(t, field, name, nil, enumsKind(values), doc)
	o.values = values
	return o
}

// secret is an option that is never shown, and can also be given as the path of a file.
func (t *table) secret(field *Secret, name, doc string) *option {
	return t.alsoAsFile(new(string), bind(t, field, name, Secret{}, secretKind(), doc))
}

// secrets is like secret, for several. The path of the file goes to a field, for whoever reads it anew.
func (t *table) secrets(field *[]Secret, path *string, name, doc string) *option {
	return t.alsoAsFile(path, bind(t, field, name, nil, secretsKind(), doc))
}

func (t *table) alsoAsFile(path *string, o *option) *option {
	o.secretFile = path // bound to the "-file" option below
	file := t.path(path, o.name+"-file", "File that holds `"+o.name+"`; read anew when it changes.")
	file.fileOf = o
	return o
}
