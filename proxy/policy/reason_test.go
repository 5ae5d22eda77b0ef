package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestEveryReasonHasItsTexts(t *testing.T) {
	t.Parallel()
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	plain := regexp.MustCompile(`^[A-Z][ !#-\[\]-~]*\.$`) // ASCII of a quoted-string that needs no escapes
	codes := map[string]Reason{}
	for r := range reasons {
		if other, taken := codes[r.Code()]; taken || !snake.MatchString(r.Code()) {
			t.Errorf("reason %d: code %q, which is also that of %d", r, r.Code(), other)
		}
		codes[r.Code()] = r
		if d := r.Description(); !plain.MatchString(d) || len(d) > 200 || strings.Contains(d, ". ") {
			t.Errorf("%s: description %q", r.Code(), d)
		}
		if !strings.HasSuffix(r.Advice(), ".") {
			t.Errorf("%s: advice %q", r.Code(), r.Advice())
		}
	}
	if unknown := reasons + 1; unknown.Code() != "unknown" || unknown.Class() != InsufficientScope || unknown.Description() == "" {
		t.Errorf("%+v", unknown)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	special := map[Reason]Class{
		Allowed: Admission, NoCaller: Unauthenticated, MethodNotNamed: Method, LevelTooLow: InsufficientLevel,
		WrongTenant: InvalidToken, ForeignClient: InvalidToken, ForeignIDP: InvalidToken, WrongAudience: InvalidToken,
	}
	for r := range reasons {
		want, ok := special[r]
		if !ok {
			want = InsufficientScope
		}
		if r.Class() != want {
			t.Errorf("%s: class %d; want %d", r.Code(), r.Class(), want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	if (Decision{}).Outcome != Refused || Refused.String() != "refused" || Admitted.String() != "admitted" || Public.String() != "public" || Outcome(9).String() != "refused" {
		t.Error("the zero value must refuse, and outcomes have names")
	}
}
