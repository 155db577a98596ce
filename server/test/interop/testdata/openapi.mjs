// Validates an OpenAPI document (node openapi.mjs MODULES FILE). Prints "valid", or why it is not.
import { createRequire } from 'node:module'

const [modules, file] = process.argv.slice(2)
const parser = createRequire(process.cwd() + '/' + modules + '/')('@apidevtools/swagger-parser')
try {
  await parser.validate(file)
  console.log('valid')
} catch (e) {
  console.log(e.message)
}
