# Compiles the assertions that `abi-c` wrote against the headers of the newest installed WDK. Every line the compiler complains
# about names a type, a field or a constant of ndk-types that is not as the header has it.
param([Parameter(Mandatory)] [string] $File)
$ErrorActionPreference = 'Stop'

$kits = Get-ItemPropertyValue 'HKLM:\SOFTWARE\Microsoft\Windows Kits\Installed Roots' KitsRoot10
$version = Get-ChildItem (Join-Path $kits Include) -Directory |
    Where-Object { Test-Path (Join-Path $_.FullName 'km\ndis.h') } | Sort-Object { [version] $_.Name } | Select-Object -Last 1
if (-not $version) { throw "There is no WDK under '$kits'." }
$include = 'km', 'km\crt', 'shared', 'um' | ForEach-Object { '/I' + (Join-Path $version.FullName $_) }
if (-not (Get-Command cl.exe -ErrorAction SilentlyContinue)) { throw 'cl.exe is not in PATH: run this in a developer prompt.' }

Write-Host "against $($version.FullName)"
& cl.exe /nologo /c /Zs /W3 /WX- /kernel /D_AMD64_ /D_WIN64 /DNDIS650=1 /DNDIS_MINIPORT_DRIVER=1 /DNTDDI_VERSION=0x0A000010 @include $File
if ($LASTEXITCODE -ne 0) { Write-Host 'ndk-types is not as the headers are.'; exit 1 }
Write-Host 'ndk-types is as the headers are.'
