package config

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents/persons"
)

// An Operator is a person who may operate the authority as a user of its machine.
type Operator struct {
	Name persons.Name
	Role persons.Role
}

// readOperators reads which users may use the admin socket. A name may be that of several
// users, with the same role.
func (f *File) readOperators(n *yaml.Node) error {
	f.Operators = map[uint32]Operator{}
	roles := map[persons.Name]persons.Role{}
	return eachPair(n, func(key string, value *yaml.Node) error {
		uid, err := strconv.ParseUint(key, 10, 32)
		if err != nil || strconv.FormatUint(uid, 10) != key || uid == 1<<32-1 {
			return fmt.Errorf("user id %q: want a number, such as 1000", key)
		}
		if uid == 0 {
			return errors.New("user id 0: root is an admin already")
		}
		var o Operator
		err = readMap(value, map[string]func(*yaml.Node) error{
			"name": parsed(&o.Name, persons.ParseName),
			"role": parsed(&o.Role, persons.ParseRole),
		})
		switch other, named := roles[o.Name]; {
		case err != nil:
			return err
		case o.Name == "" || o.Role == 0:
			return at(value, errors.New("an operator needs a name and a role"))
		case named && other != o.Role:
			return at(value, fmt.Errorf("operator %s has the role %s in another place", o.Name, other))
		}
		f.Operators[uint32(uid)], roles[o.Name] = o, o.Role
		return nil
	})
}
