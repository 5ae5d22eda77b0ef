package policy

import (
	"strings"
	"testing"
)

// TestS25MutationsDoNotLoad: a policy that may not be meant as it is written is refused, with the line and the key.
func TestS25MutationsDoNotLoad(t *testing.T) {
	t.Parallel()
	path := func(entry string) string { return own("paths:", "- "+entry) }
	provider := func(entry string) string { return own("providers:", "- "+entry) }
	for text, want := range map[string]string{
		// Keys that would narrow, if they were spelt right.
		path(`{match: /a, reqire: {groups: [x]}}`):                       "policy.yaml:3: paths[0].reqire: unknown key, did you mean require?",
		path(`{match: /a, require: {group: [x]}}`):                       "policy.yaml:3: paths[0].require.group: unknown key, did you mean groups?",
		path(`{match: /a, require: {groups: [x]}, method: [POST]}`):      "paths[0].method: unknown key, did you mean methods?",
		path(`{match: /a, require: {groups: [x], Kind: app}}`):           "paths[0].require.Kind: unknown key, did you mean kind?",
		path(`{match: /a, require: {organisations: ["123456789"]}}`):     "did you mean organizations?",
		path(`{match: /a, require: {kind: app}, x-y: 1}`):                "paths[0].x-y: unknown key; known are match, methods, public, require",
		path(`{match: /a, require: {kind: app}, "bad\nkey": 1}`):         `paths[0]."bad\nkey": unknown key`,
		own(`user: {allowAll: true}`):                                    "policy.yaml:2: user: unknown key, did you mean users?",
		own(strings.Repeat("k", 100) + ": x"):                            `policy.yaml:2: "` + strings.Repeat("k", 60) + `…": unknown key; known are apiVersion, app,`,
		own(`kind: Policy`):                                              "kind: unknown key",
		own(`users: {allowAllUsers: true}`):                              "users.allowAllUsers: unknown key",
		own(`inbound: {rules: [{app: a}]}`):                              "inbound.rules[0].app: unknown key",
		own(`inbound: {rule: []}`):                                       "inbound.rule: unknown key, did you mean rules?",
		own(`inbound: {rules: [{application: a, permission: {}}]}`):      "did you mean permissions?",
		own(`inbound: {rules: [{application: a, permissions: {role}}]}`): "inbound.rules[0].permissions.role: unknown key, did you mean roles?",
		own(`maskinporten: {scopes: [{name: x, consumer: []}]}`):         "did you mean consumers?",
		own(`idporten: {levels: Level4}`):                                "did you mean level?",
		own(`entra: {tenant: []}`):                                       "did you mean tenants?",
		own(`tokenx: {idp: []}`):                                         "did you mean idps?",
		own(`app: {cluster: c, app: a}`):                                 "app.app: unknown key",
		provider(`{name: x, client: [a]}`):                               "did you mean clients?",

		// Given twice, not at all, or to no effect (S-10).
		path(`{match: /a, require: {kind: app}, match: /b}`):            "paths[0].match: is given twice, first in line 3",
		own("users: {}", "users: {}"):                                   "policy.yaml:3: users: is given twice, first in line 2",
		path(`{match: /a}`):                                             "paths[0]: has no effect: give it public or require",
		path(`{match: /a, public: false}`):                              "paths[0]: has no effect",
		path(`{match: /a, methods: [GET]}`):                             "paths[0]: has no effect",
		path(`{match: /a, public: true, require: {kind: app}}`):         "paths[0]: is both public and has require",
		path(`{match: /a, require: {}}`):                                "paths[0].require: requires nothing",
		path(`{match: /a, require: {groups: []}}`):                      "paths[0].require.groups: is an empty list",
		path(`{match: /a, require: {groups: }}`):                        "paths[0].require.groups: has no value",
		path(`{match: /a, require: {kind: app}, methods: []}`):          "paths[0].methods: is an empty list",
		path(`{match: /a, require: {level: ""}}`):                       "paths[0].require.level: is empty",
		path(`{match: /a, require: }`):                                  "paths[0].require: has no value",
		path(`{require: {kind: app}}`):                                  "paths[0]: match is missing",
		path(``):                                                        "paths[0]: must be an object, not nothing",
		own(`inbound: {rules: [{namespace: n}]}`):                       "inbound.rules[0]: application is missing",
		own(`inbound: {rules: [{application: ""}]}`):                    "inbound.rules[0].application: is empty",
		own(`inbound: {}`):                                              "inbound: rules is missing",
		own(`maskinporten: {scopes: [{accessibleForAll: true}]}`):       "maskinporten.scopes[0]: name is missing",
		own(`maskinporten: {audience: x}`):                              "maskinporten: scopes is missing",
		own(`entra: {tenants: []}`):                                     "entra.tenants: is an empty list",
		own(`users:`):                                                   "users: has no value",
		provider(`{name: openid}`):                                      "providers[0]: says nothing about who is admitted",
		provider(`{name: openid, allowAll: false}`):                     "providers[0]: says nothing about who is admitted",
		provider(`{name: openid, allowAll: true, groups: [a]}`):         "providers[0]: says allowAll and names some",
		provider(`{name: openid, groups: []}`):                          "providers[0].groups: is an empty list",
		provider(`{allowAll: true}`):                                    "providers[0]: name is missing",
		provider(`{name: tokenx, allowAll: true}`):                      "providers[0]: tokenx has parts of its own in a policy",
		provider("{name: a, allowAll: true}\n- {name: a, groups: [x]}"): `policy.yaml:4: providers[1]: "a" already has an entry at policy.yaml:3`,

		// What another part of the world calls true, text or a list.
		path(`{match: /a, public: yes}`):                            "paths[0].public: must be true or false, not text",
		path(`{match: /a, public: "true"}`):                         "paths[0].public: must be true or false, not text",
		path(`{match: /a, public: !!bool maybe}`):                   "paths[0].public: must be true or false",
		path(`{match: /a, public: 1}`):                              "paths[0].public: must be true or false, not a number",
		path(`{match: /a, public: [true]}`):                         "paths[0].public: must be true or false, not a list",
		path(`{match: /a, methods: GET, require: {kind: app}}`):     "paths[0].methods: must be a list, not text",
		path(`{match: /a, require: {groups: [1234]}}`):              "paths[0].require.groups[0]: must be text, not a number; put it in quotes",
		path(`{match: /a, require: {groups: [2024-01-01]}}`):        "must be text, not a date; put it in quotes",
		path(`{match: /a, require: {groups: [null]}}`):              "paths[0].require.groups[0]: must be text, not nothing",
		path(`{match: /a, require: {groups: [!x y]}}`):              "must be text, without a tag",
		path(`{match: /a, require: [groups]}`):                      "paths[0].require: must be an object, not a list",
		path(`{match: /a, require: groups}`):                        "paths[0].require: must be an object, not text",
		path(`{? [a] : b, match: /a, require: {kind: app}}`):        "paths[0]: has a key that is not text (line 3)",
		own(`paths: {match: /a}`):                                   "paths: must be a list, not an object",
		own(`inbound: [{application: a}]`):                          "inbound: must be an object, not a list",
		own(`inbound: {rules: [{application: a, namespace: 1e3}]}`): "inbound.rules[0].namespace: must be text, not a number",

		// Values that cannot be what is meant.
		path(`{match: /a, require: {kind: users}}`):                          "paths[0].require.kind: must be user or app",
		path(`{match: /a, require: {level: Level2}}`):                        "paths[0].require.level: must be idporten-loa-low",
		path(`{match: /a, require: {level: Idporten-loa-high}}`):             "paths[0].require.level: must be idporten-loa-low",
		path(`{match: /a, require: {scopes: ["a b"]}}`):                      "paths[0].require.scopes[0]: must be one word",
		path(`{match: /a, require: {groups: [" a"]}}`):                       "paths[0].require.groups[0]: must not begin or end with a space",
		path(`{match: /a, require: {providers: ["a\u2028b"]}}`):              "paths[0].require.providers[0]: must be one word",
		path(`{match: /a, require: {organizations: ["0192:123456789"]}}`):    "paths[0].require.organizations[0]: must be an organisation number",
		path(`{match: /a, require: {organizations: [12345678]}}`):            "must be an organisation number",
		path(`{match: /a, require: {organizations: [123_456_789]}}`):         "must be an organisation number",
		path(`{match: /a, require: {organizations: [012345678]}}`):           "must be text, not a number; put it in quotes",
		path(`{match: /a, methods: ["GET POST"], require: {kind: app}}`):     "paths[0].methods[0]: must be an HTTP method",
		own(`maskinporten: {scopes: [{name: x, consumers: ["12345678x"]}]}`): "maskinporten.scopes[0].consumers[0]: must be an organisation number",
		own(`idporten: {level: high}`):                                       "idporten.level: must be idporten-loa-low",
		own(`entra: {tenants: [nav.no]}`):                                    "entra.tenants[0]: must be a GUID",
		own(`tokenx: {idps: [idporten]}`):                                    "tokenx.idps[0]: must be an issuer",
		own(`inbound: {rules: [{application: "n:a"}]}`):                      "inbound.rules[0].application: must be a name",

		// Patterns that match less than they seem to.
		path(`{match: admin, require: {kind: app}}`):        `paths[0].match: must begin with "/"`,
		path(`{match: "*", require: {kind: app}}`):          `paths[0].match: must begin with "/"`,
		path(`{match: "/a[", require: {kind: app}}`):        "paths[0].match: is not a valid pattern",
		path(`{match: "/a?b=c", require: {kind: app}}`):     "paths[0].match: is compared with the path alone",
		path(`{match: "/a#b", require: {kind: app}}`):       "paths[0].match: is compared with the path alone",
		path(`{match: "/a%20b", require: {kind: app}}`):     "paths[0].match: is compared with the decoded path",
		path(`{match: "/a//b", require: {kind: app}}`):      `paths[0].match: must not hold "//"`,
		path(`{match: "/a/../b", require: {kind: app}}`):    `paths[0].match: must not hold "//"`,
		path(`{match: "//", require: {kind: app}}`):         `paths[0].match: must not hold "//"`,
		path(`{match: "/admin**", require: {kind: app}}`):   `paths[0].match: "**" reaches deeper only as a segment of its own`,
		path(`{match: "/{a**,b}/c", require: {kind: app}}`): `paths[0].match: "**" reaches deeper only as a segment of its own`,

		// Other files.
		"":                             "policy.yaml: is empty",
		"# nothing":                    "policy.yaml: is empty",
		"---\n---\n":                   "policy.yaml: is empty",
		"null":                         "policy.yaml: is empty",
		"{}":                           "policy.yaml:1: is a document of another kind (it has no apiVersion)",
		"[]":                           "is a document of another kind",
		"postern/v1":                   "is a document of another kind",
		"apiVersion: postern/v2":       "is a document of another kind (postern/v2)",
		"apiVersion: [postern/v1]":     "is a document of another kind",
		"a: &x postern/v1\nb: *x":      "is a document of another kind",
		own("") + "\n---\nusers: {}":   "policy.yaml:4: is a document of another kind",
		own("") + "\n--- text":         "is a document of another kind",
		own("users: {"):                "policy.yaml:2: did not find expected node content",
		own("\tusers: {}"):             "policy.yaml:2: found a tab character that violates indentation",
		own("users: {}\n...\nmore"):    "did not find expected <document start>",
		own("users: {allowAll: \x01}"): "control characters are not allowed",
		"apiVersion: nais.io/v1\nkind: Naisjob\nmetadata: {name: a}\nspec: {}":      "is a document of another kind (nais.io/v1 Naisjob)",
		"apiVersion: nais.io/v1alpha1\nkind: \"a\\nb\"\n":                           `("nais.io/v1alpha1 a\nb")`,
		"apiVersion: postern/v1\napiVersion: nais.io/v1alpha1\nkind: Application\n": "apiVersion: is given twice",
	} {
		doc, _, err := parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || doc != nil {
			t.Errorf("%s\n  %v\n  want %s", text, err, want)
		}
	}
}

// TestS25PartTwice: over all files and documents each part may be given once, and the error names both places.
func TestS25PartTwice(t *testing.T) {
	t.Parallel()
	manifest := File{"app.yaml", []byte(strings.Join([]string{
		"apiVersion: nais.io/v1alpha1", "kind: Application", "metadata: {name: a, namespace: n}", "spec:",
		"  accessPolicy: {inbound: {rules: []}}",
		"  azure: {application: {enabled: true}}",
		"  tokenx: {enabled: true}",
		"  idporten: {enabled: true}",
		"  maskinporten: {enabled: true}",
	}, "\n"))}
	for part, lines := range map[string]struct{ own, manifest string }{
		"inbound":      {"inbound: {rules: []}", "app.yaml:5"},
		"users":        {"users: {}", "app.yaml:6"},
		"tokenx":       {"tokenx: {}", "app.yaml:7"},
		"idporten":     {"idporten: {}", "app.yaml:8"},
		"maskinporten": {"maskinporten: {scopes: []}", "app.yaml:9"},
		"entra":        {"entra: {}", ""},
		"providers":    {"providers: []", ""},
		"paths":        {"paths: []", ""},
	} {
		file := File{"policy.yaml", []byte(own(lines.own))}
		again := File{"more.yaml", []byte(own("", lines.own))}
		want := part + " is already given at policy.yaml:2"
		if _, _, err := Parse([]File{file, again}, "c", ""); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "more.yaml:3: ") {
			t.Errorf("%s, two files: %v; want %s", part, err, want)
		}
		file.Data = []byte(own(lines.own, "---", "apiVersion: postern/v1", lines.own))
		if _, _, err := Parse([]File{file}, "c", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, two documents: %v; want %s", part, err, want)
		}
		file.Data = []byte(own(lines.own))
		_, _, err := Parse([]File{manifest, file}, "c", "")
		if lines.manifest == "" && err != nil {
			t.Errorf("%s beside a manifest: %v", part, err)
		}
		if want := part + " is already given at " + lines.manifest; lines.manifest != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s beside a manifest: %v; want %s", part, err, want)
		}
	}
	if _, _, err := Parse([]File{manifest, manifest}, "c", ""); err == nil || strings.Count(err.Error(), "is already given at app.yaml:") != 5 {
		t.Errorf("one manifest twice: %v", err)
	}
	if _, _, err := Parse(nil, "c", ""); err == nil || err.Error() != "no policy file is given" {
		t.Errorf("no file: %v", err)
	}
}

// TestS25ClusterMissing: NAIS_CLUSTER_NAME is needed only where a rule needs it.
func TestS25ClusterMissing(t *testing.T) {
	t.Parallel()
	const app = "app: {namespace: n, name: a}"
	for text, want := range map[string]string{
		own(app, "inbound: {rules: [{application: b}]}"):                               "cluster is missing",
		own(app, "inbound: {rules: [{application: b, cluster: c}]}"):                   "",
		own("inbound: {rules: [{application: b, cluster: c}]}"):                        "namespace is missing",
		own("inbound: {rules: [{application: b, cluster: c, namespace: n}]}"):          "",
		own("app: {cluster: c, namespace: n}", "inbound: {rules: [{application: b}]}"): "",
		own(app, "inbound: {rules: []}"):                                               "",
	} {
		doc, _, err := Parse([]File{{"policy.yaml", []byte(text)}}, "", "")
		if want == "" {
			if err != nil || len(doc.Rules) > 0 && doc.Rules[0].App != (App{"c", "n", "b"}) {
				t.Errorf("%s\n%+v, %v", text, doc, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v; want %s", text, err, want)
		}
	}
}
