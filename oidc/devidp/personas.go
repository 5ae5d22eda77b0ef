package devidp

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
)

// Groups of the default personas.
const (
	GroupCaseworkers = "5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a01"
	GroupApprovers   = "5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a02"
	GroupAdmins      = "5c2a7e0c-7c1f-4d8e-8a0b-1f0f6f1c2a03"
)

// maxGroups is how many groups fit in a JWT of Entra ID; with more there is a pointer to them instead.
const maxGroups = 200

// Persona is a made-up person who can log in.
type Persona struct {
	ID          string // short and plain, such as "kari"; what the form sends and login_hint accepts
	Name        string
	Username    string // preferred_username
	Description string // for the login page
	ObjectID    string // oid, a GUID; empty for who has no account in the tenant, and is not offered at Entra ID
	PID         string // national identity number, in tokens of ID-porten and TokenX; empty for who is not offered at ID-porten
	NAVident    string
	Email       string // in the token if scope email is asked for
	EmailOwned  bool   // xms_edov: the domain owner vouches for the address
	Groups      []string
	ACR         string         // the highest level of Config.ACRValues, or of ID-porten, that this person reaches; empty means all
	Claims      map[string]any // further claims of both tokens
	Denied      bool           // not assigned to any app: login ends with access_denied
}

// DefaultPersonas is the cast of the demo: people with different groups, none, too many, one who is let in nowhere, and citizens. Their national
// identity numbers are made up and can be nobody's.
func DefaultPersonas() []Persona {
	everywhere := make([]string, maxGroups+50)
	for i := range everywhere {
		everywhere[i] = fmt.Sprintf("00000000-aaaa-4bbb-8ccc-%012d", i+1)
	}
	return []Persona{
		{
			ID: "kari", Name: "Kari Saksbehandler", Username: "kari.saksbehandler@trygdeetaten.example", NAVident: "Z990001",
			Email: "kari.saksbehandler@trygdeetaten.example", EmailOwned: true, Description: "Caseworker",
			ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a01", Groups: []string{GroupCaseworkers},
		},
		{
			ID: "ola", Name: "Ola Beslutter", Username: "ola.beslutter@trygdeetaten.example", NAVident: "Z990002",
			Email: "ola.beslutter@trygdeetaten.example", EmailOwned: true, Description: "Caseworker who may approve",
			ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a02", Groups: []string{GroupCaseworkers, GroupApprovers},
		},
		{
			ID: "siri", Name: "Siri Administrator", Username: "siri.administrator@trygdeetaten.example", NAVident: "Z990003",
			Email: "siri.administrator@trygdeetaten.example", Description: "Administrator, with an e-mail address that nobody vouches for",
			ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a03", Groups: []string{GroupAdmins},
		},
		{
			ID: "nils", Name: "Nils Nyansatt", Username: "nils.nyansatt@trygdeetaten.example", NAVident: "Z990004",
			Description: "New here, member of no group", ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a04",
		},
		{
			ID: "anna", Name: "Anna Allsteder", Username: "anna.allsteder@trygdeetaten.example", NAVident: "Z990005",
			Description: "In so many groups that the token only points to them",
			ObjectID:    "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a05", Groups: everywhere,
		},
		{
			ID: "bjorn", Name: "Bjørn Æsøy, Borger", Username: "bjørn.æsøy@borger.example", Email: "bjorn@borger.example", EmailOwned: true,
			Description: "Citizen, guest in the tenant, with letters that headers dislike", ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a06",
			PID: "17814730360",
		},
		{
			ID: "turid", Name: "Turid Pårørende", Username: "turid.paaroerende@borger.example",
			Description: "Citizen, guest in the tenant", ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a07", PID: "05836230282",
		},
		{
			ID: "dag", Name: "Dag Utestengt", Username: "dag.utestengt@trygdeetaten.example", NAVident: "Z990008",
			Description: "Has no access: the login is refused", ObjectID: "a1b9d0d6-52a8-4b7e-9d53-0c1d2e3f4a08", Denied: true,
		},
		{ID: "gunnar", Name: "Gunnar Gammel", Description: "Citizen with a BankID", PID: "11865131102"},
		{ID: "ingrid", Name: "Ingrid Innbygger", Description: "Citizen with a MinID, who never gets higher than that", PID: "14839431024", ACR: LevelSubstantial},
		{ID: "liv", Name: "Liv Lavnivå", Description: "Citizen who registered an e-mail address and proved nothing", PID: "23865531044", ACR: LevelLow},
		{ID: "amir", Name: "Amir Tilflyttet", Description: "Newly arrived, with a D-number", PID: "45899131154"},
	}
}

// identityNumber is one of nobody: 80 is added to the month, as the tax administration does for its test population.
var identityNumber = newForm(`^[0-7][0-9][89][0-9]{8}$`)

func checkPersonas(c *Config) (problems []error) {
	seen := map[string]bool{}
	for _, who := range c.Personas {
		switch {
		case !plainName.MatchString(who.ID) || who.ID == "cancel": // which is a button of the form
			problems = append(problems, fmt.Errorf("persona id %q is taken or not made of a-z, 0-9, dot and hyphen", who.ID))
		case seen[who.ID]:
			problems = append(problems, fmt.Errorf("two personas are called %q", who.ID))
		case (who.ObjectID != "" || who.PID == "") && !guid.MatchString(who.ObjectID):
			problems = append(problems, fmt.Errorf("persona %q: object id is not a GUID in lower case", who.ID))
		case who.PID != "" && !identityNumber.MatchString(who.PID):
			problems = append(problems, fmt.Errorf("persona %q: national identity number is not 11 digits of a made-up person", who.ID))
		case who.ACR != "" && !slices.Contains(c.ACRValues, who.ACR) && !slices.Contains(idPorten().levels, who.ACR):
			problems = append(problems, fmt.Errorf("persona %q: level %q is not on offer", who.ID, who.ACR))
		}
		seen[who.ID] = true
	}
	if c.AutoLogin != "" && !seen[c.AutoLogin] {
		problems = append(problems, fmt.Errorf("no persona %q to log in automatically", c.AutoLogin))
	}
	return problems
}

// persona finds somebody by id, user name, object id, national identity number or login hint.
func (p *IdP) persona(key string) (Persona, bool) {
	for _, who := range p.cfg.Personas {
		if who.answersTo(key) {
			return who, true
		}
	}
	return Persona{}, false
}

// persona is that of the provider, if they can log in at this issuer.
func (s site) persona(key string) (Persona, bool) {
	who, ok := s.idp.persona(key)
	if !ok || !s.at.admits(who) {
		return Persona{}, false
	}
	return who, true
}

// loginHint is the opaque claim of that name; it comes back as login_hint or logout_hint.
func (who Persona) loginHint() string {
	if who.ObjectID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("login_hint " + who.ObjectID))
	return "O." + base64.RawURLEncoding.EncodeToString(sum[:])
}

// pairwise is `sub`: another one for each client (OIDC Core §8.1).
func (who Persona) pairwise(tenant, clientID string) string {
	sum := sha256.Sum256([]byte(tenant + "\n" + clientID + "\n" + who.ObjectID))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
